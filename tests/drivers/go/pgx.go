// pgx 4: GO111MODULE=off GOPATH=/usr/share/gocode go build pgx.go client.go, with Debian's golang-go and golang-github-jackc-pgx-v4-dev.
// It has neither channel binding nor direct TLS. A host name with several addresses is tried at each of them.
package main

import (
	"context"

	"github.com/jackc/pgx/v4"
)

func main() {
	serve("pgx", func(ctx context.Context, url string) (answer string, err error) {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return "", err
		}
		defer conn.Close(ctx)
		err = conn.QueryRow(ctx, query, "42").Scan(&answer)
		return answer, err
	})
}
