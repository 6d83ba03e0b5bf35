/**
 * The program once more, for the commands that serve: the build makes one file of what they start with, as each file
 * that a start finds and reads costs time, and the work of finding many costs memory.
 *
 * @module
 */
export { commands, runProgram } from './program.ts'
