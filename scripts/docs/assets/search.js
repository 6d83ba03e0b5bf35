// Finds headings whose section has all words. The index is loaded with the first letter that somebody types.
{
  const top = document.currentScript.dataset.top
  const search = document.querySelector('search')
  const input = search.querySelector('input')
  const list = search.querySelector('ol')
  const shown = 12
  search.hidden = false

  const load = () =>
    new Promise((resolve, reject) => {
      if (globalThis.searchIndex) return resolve(globalThis.searchIndex)
      const script = document.createElement('script')
      script.src = `${top}search-index.js`
      script.onload = () => resolve(globalThis.searchIndex)
      script.onerror = reject
      document.head.append(script)
    })

  /** Words in the title and heading count more than those below. */
  const rank = (words, [, title, under, text]) => {
    const head = `${title} ${under}`.toLowerCase()
    const body = text.toLowerCase()
    let points = under === '' ? 1 : 0
    for (const word of words) {
      if (head.includes(word)) points += 10
      else if (body.includes(word)) points += 1
      else return 0
    }
    return points
  }

  const excerpt = (word, text) => {
    const at = Math.max(0, text.toLowerCase().indexOf(word) - 40)
    return `${at > 0 ? '… ' : ''}${text.slice(at, at + 140)}`
  }

  const entry = (words, [path, title, under, text]) => {
    const link = document.createElement('a')
    link.href = top + path
    const head = document.createElement('b')
    head.textContent = under === '' ? title : `${title} › ${under}`
    const line = document.createElement('span')
    line.textContent = excerpt(words[0], text)
    link.append(head, line)
    const item = document.createElement('li')
    item.append(link)
    return item
  }

  const nothing = (words) => {
    const item = document.createElement('li')
    const line = document.createElement('p')
    line.textContent = `Nothing has ${words.join(' and ')}.`
    item.append(line)
    return item
  }

  const find = async () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean)
    if (words.length === 0) return list.replaceChildren()
    const entries = await load()
    const found = entries
      .map((row) => ({ row, points: rank(words, row) }))
      .filter(({ points }) => points > 0)
      .sort((a, b) => b.points - a.points)
      .slice(0, shown)
      .map(({ row }) => entry(words, row))
    list.replaceChildren(...(found.length > 0 ? found : [nothing(words)]))
  }

  input.addEventListener('input', find)
  search.addEventListener('keydown', (event) => {
    const links = [...list.querySelectorAll('a')]
    const at = links.indexOf(document.activeElement)
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (event.key === 'Escape') {
      input.value = ''
      list.replaceChildren()
      input.focus()
    } else if (event.key === 'Enter' && at < 0) find().then(() => list.querySelector('a')?.click())
    else if (step !== undefined) {
      event.preventDefault()
      ;(links[at + step] ?? input).focus()
    }
  })
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.target.closest('input, textarea')) return
    event.preventDefault()
    input.focus()
  })
  document.addEventListener('click', (event) => {
    if (!search.contains(event.target)) list.replaceChildren()
  })
}
