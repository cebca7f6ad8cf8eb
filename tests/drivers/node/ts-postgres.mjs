// ts-postgres (npm `ts-postgres`): node ts-postgres.mjs, beside a node_modules folder made by `npm ci`. It has neither channel binding
// nor direct TLS. Its modes say when it goes on without TLS, and objects for Node's tls.connect() what it verifies.

import { isIP } from 'node:net'
import { connect, DatabaseError, SSLMode } from 'ts-postgres'
import { serve, tls, unsupported } from './client.mjs'

await serve({
    driver: 'ts-postgres',
    packageName: 'ts-postgres',
    sqlstate: (error) => (error instanceof DatabaseError ? error.code : null),
    async login(wanted) {
        if (wanted.channel_binding === 'require' || wanted.sslnegotiation === 'direct') throw unsupported
        const client = await connect({
            host: wanted.host,
            port: wanted.port,
            user: wanted.user,
            password: wanted.password ?? undefined,
            database: wanted.dbname,
            ssl: ssl(wanted),
        })
        try {
            const row = await client.query("SELECT current_user || ':' || $1 AS answer", ['42']).one()
            return row.answer
        } finally {
            await client.end()
        }
    },
})

function ssl(wanted) {
    if (wanted.sslmode === 'disable') return SSLMode.Disable
    // Without a name, "localhost" is verified.
    const servername = isIP(wanted.host) ? undefined : wanted.host
    if (wanted.sslmode === 'prefer' && !wanted.sslrootcert) {
        return { mode: SSLMode.Prefer, options: { servername, rejectUnauthorized: false } }
    }
    return { mode: SSLMode.Require, options: { servername, ...tls(wanted) } }
}
