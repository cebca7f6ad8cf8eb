// node-postgres (npm `pg`): node pg.mjs, beside a node_modules folder made by `npm ci`. Channel binding is off unless asked for, and
// there is no way to insist on it. No ~/.pgpass is read as long as a password is given.

import net from 'node:net'
import pg from 'pg'
import { serve, tls, unsupported } from './client.mjs'

await serve({
    driver: 'node-postgres',
    packageName: 'pg',
    sqlstate: (error) => (error instanceof pg.DatabaseError ? error.code : null),
    async login(wanted, signal) {
        if (wanted.channel_binding === 'require') throw unsupported
        const { user, host, port, dbname } = wanted
        const inUrl = wanted.sslrootcert && ['prefer', 'require'].includes(wanted.sslmode)
        const client = new pg.Client({
            // Words exist in URLs only; `prefer` and `require` are two more for verify-full there.
            ...(inUrl && { connectionString: `postgresql://${user}@${host}:${port}/${dbname}?${words(wanted)}` }),
            host,
            port,
            user,
            password: wanted.password,
            database: dbname,
            ...(!inUrl && { ssl: tls(wanted) }),
            sslnegotiation: wanted.sslnegotiation,
            enableChannelBinding: wanted.channel_binding === 'prefer',
            stream: () => new net.Socket({ signal }),
        })
        client.on('error', () => {}) // what a query has already reported, or what comes after the last one
        try {
            await client.connect()
            const { rows } = await client.query("SELECT current_user || ':' || $1 AS answer", ['42'])
            return rows[0].answer
        } finally {
            await client.end()
        }
    },
})

function words({ sslmode, sslrootcert }) {
    return new URLSearchParams({ sslmode, sslrootcert })
}
