// node-postgres: simple and extended queries, named statements. It has no COPY of its own.
import pg from 'pg'

const word = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('PLANT_')).map(([name, value]) =>
    [name.slice(6).toLowerCase(), value]))
const half = Math.floor(word.row.length / 2)
const client = new pg.Client({ ssl: { rejectUnauthorized: false } })
await client.connect()
const check = (is, wanted) => {
    if (is !== wanted) throw new Error(`${is} is not what was said`)
}
await client.query(`SELECT length('${word.literal}')`)
for (const extra of [{}, { name: 'named' }, { binary: true }]) {
    const { rows } = await client.query({ text: "SELECT $1::text || '' AS word, $2::bigint + 0 AS number", values: [word.bind, word.number], ...extra })
    check(rows[0].word, word.bind)
}
const { rows } = await client.query(`SELECT concat('${word.row.slice(0, half)}', '${word.row.slice(half)}') AS word`)
check(rows[0].word, word.row)
await client.query(`ALTER ROLE nobody_at_all PASSWORD '${word.role}'`).then(() => check('the role', ''), (error) => check(error.code, '42704'))
await client.end()
