// lib/pq: GO111MODULE=off GOPATH=/usr/share/gocode go build pq.go client.go, with Debian's golang-go and golang-github-lib-pq-dev. It
// has neither channel binding nor direct TLS.
package main

import (
	"context"
	"database/sql"

	"github.com/lib/pq"
)

func main() {
	lacks = map[string]bool{"allow": true, "prefer": true}
	serve("lib/pq", func(ctx context.Context, url string) (answer string, err error) {
		connector, err := pq.NewConnector(url)
		if err != nil {
			return "", err
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		// A connection of its own: the pool would run a query again, on another connection, when the first is lost.
		conn, err := db.Conn(ctx)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		err = conn.QueryRowContext(ctx, query, "42").Scan(&answer)
		return answer, err
	})
}
