// postgres.js (npm `postgres`): node postgres.mjs, beside a node_modules folder made by `npm ci`. It has no channel binding. When the
// host is an IP address, it verifies the name "localhost" instead.

import net from 'node:net'
import postgres from 'postgres'
import { serve, tls, unsupported } from './client.mjs'

await serve({
    driver: 'postgres.js',
    packageName: 'postgres',
    sqlstate: (error) => (error instanceof postgres.PostgresError ? error.code : null),
    async login(wanted, signal) {
        if (wanted.channel_binding === 'require') throw unsupported
        const { host, port } = wanted
        // It has words for these, which it takes instead of an object.
        const isWord = ['allow', 'prefer'].includes(wanted.sslmode) && !wanted.sslrootcert && !wanted.sslcert
        const sql = postgres({
            host,
            port,
            user: wanted.user,
            password: wanted.password,
            database: wanted.dbname,
            ssl: isWord ? wanted.sslmode : tls(wanted),
            sslnegotiation: wanted.sslnegotiation,
            max: 1,
            fetch_types: false,
            socket: once(() => Object.assign(net.connect({ host, port, signal }), { host })),
        })
        try {
            const [row] = await sql`SELECT current_user || ':' || ${'42'} AS answer`
            return row.answer
        } finally {
            await sql.end({ timeout: 1 })
        }
    },
})

// It connects again, without pause or end, to a server that closes without an error message. No option prevents that.
function once(connect) {
    let done = false
    return () => {
        if (done) throw new Error('the server closed the connection')
        done = true
        return connect()
    }
}
