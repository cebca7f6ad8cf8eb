// What the Node clients share: reading logins, the time limit, and writing answers (the contract is in ../README.md). It stands beside
// a node_modules folder made by `npm ci`; ../build-compiled copies it there.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

export const unsupported = new Error('not supported by the driver')

// `login(wanted, signal)` resolves to the answer of the query; `sqlstate(error)` is the server's, if the error came from it.
export async function serve({ driver, packageName, login, sqlstate }) {
    const { version } = JSON.parse(readFileSync(new URL(`node_modules/${packageName}/package.json`, import.meta.url)))
    print({ driver, version, detail: `node ${process.versions.node}, openssl ${process.versions.openssl}` })
    for await (const line of createInterface({ input: process.stdin })) {
        const wanted = JSON.parse(line)
        try {
            const answer = await within(60_000, (signal) => login(wanted, signal))
            const ok = answer === `${wanted.user}:42`
            print({ id: wanted.id, ok, sqlstate: null, error: ok ? null : `unexpected answer: ${answer}` })
        } catch (error) {
            // A host name with several addresses fails with one error that has no text of its own.
            print({ id: wanted.id, ok: false, sqlstate: sqlstate(error) ?? null, error: error.message || error.code })
        }
    }
    process.exit(0)
}

// The `ssl` option of both drivers: objects for Node's tls.connect(). What has no such object is not supported, unless a driver has a word
// for it.
export function tls({ sslmode, sslrootcert, sslcert, sslkey }) {
    if (sslmode === 'disable') return false
    const pem = (file) => (file ? readFileSync(file) : undefined)
    const trust = {
        'require': sslrootcert ? null : { rejectUnauthorized: false },
        'verify-ca': { ca: pem(sslrootcert), checkServerIdentity: () => undefined },
        'verify-full': { ca: pem(sslrootcert) },
    }[sslmode]
    if (!trust) throw unsupported
    return { ...trust, cert: pem(sslcert), key: pem(sslkey) }
}

// The signal ends the socket of a login that is given up.
async function within(milliseconds, action) {
    const controller = new AbortController()
    let timer
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => {
            reject(new Error('timeout'))
            controller.abort()
        }, milliseconds)
    })
    try {
        return await Promise.race([action(controller.signal), late])
    } finally {
        clearTimeout(timer)
    }
}

function print(object) {
    process.stdout.write(JSON.stringify(object) + '\n')
}
