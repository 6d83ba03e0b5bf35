import { expect, test } from 'vitest'
import { createCircuit } from '../../src/core/circuit.ts'

const limits = { failures: 3, firstMs: 1000, longestMs: 4000 }

function opened() {
  const circuit = createCircuit(limits)
  for (let time = 0; time < 3; time++) {
    expect(circuit.openForMs(0)).toBe(0)
    circuit.failed(0)
  }
  return circuit
}

test('it opens after so many failures in a row, and not before', () => {
  const circuit = createCircuit(limits)
  circuit.failed(0)
  circuit.failed(0)
  expect(circuit.openForMs(0)).toBe(0)
  circuit.succeeded()
  circuit.failed(0)
  circuit.failed(0)
  expect(circuit.openForMs(0)).toBe(0)
  circuit.failed(0)
  expect(circuit.openForMs(0)).toBe(1000)
  expect(circuit.openForMs(400)).toBe(600)
})

test('when the time is over one attempt is let through, and the others wait for its outcome', () => {
  const circuit = opened()
  expect(circuit.openForMs(1000)).toBe(0)
  expect(circuit.openForMs(1000)).toBe(1000)
  circuit.succeeded()
  expect(circuit.openForMs(1000)).toBe(0)
  expect(circuit.openForMs(1000)).toBe(0)
})

test('attempts that began before it opened do not lengthen the pause when they fail', () => {
  const circuit = opened()
  for (let time = 0; time < 100; time++) circuit.failed(500)
  expect(circuit.openForMs(500)).toBe(500)
  expect(circuit.openForMs(1000)).toBe(0)
  circuit.failed(1000)
  expect(circuit.openForMs(1000)).toBe(2000)
})

test('an attempt that says nothing leaves it as it was, and lets the next one through', () => {
  const circuit = opened()
  expect(circuit.openForMs(1000)).toBe(0)
  circuit.abandoned()
  expect(circuit.openForMs(1000)).toBe(0)
  circuit.failed(1000)
  expect(circuit.openForMs(1000)).toBe(2000)
})

test('each failed attempt doubles the pause, up to the longest', () => {
  const circuit = opened()
  let nowMs = 1000
  for (const pauseMs of [2000, 4000, 4000]) {
    expect(circuit.openForMs(nowMs)).toBe(0)
    circuit.failed(nowMs)
    expect(circuit.openForMs(nowMs)).toBe(pauseMs)
    nowMs += pauseMs
  }
  expect(circuit.openForMs(nowMs)).toBe(0)
  circuit.succeeded()
  circuit.failed(nowMs)
  expect(circuit.openForMs(nowMs)).toBe(0)
})
