// What the Go clients share: reading logins, the time limit, and writing answers (the contract is in ../README.md). Compiled together
// with one of pq.go and pgx.go, each of which has the main function: go build pq.go client.go
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"time"
)

// The driver's, set by the linker: Go knows no versions of packages outside modules.
var version = "unknown"

var errUnsupported = errors.New("not supported by the driver")

const query = "SELECT current_user || ':' || $1"

type login struct {
	ID             json.RawMessage `json:"id"`
	Host           string          `json:"host"`
	Port           int             `json:"port"`
	User           string          `json:"user"`
	Password       *string         `json:"password"`
	Dbname         string          `json:"dbname"`
	SSLMode        string          `json:"sslmode"`
	SSLNegotiation string          `json:"sslnegotiation"`
	SSLRootCert    string          `json:"sslrootcert"`
	SSLCert        string          `json:"sslcert"`
	SSLKey         string          `json:"sslkey"`
	ChannelBinding string          `json:"channel_binding"`
}

// What the driver lacks of sslmode, set by its main.
var lacks = map[string]bool{}

type report struct {
	ID       json.RawMessage `json:"id"`
	OK       bool            `json:"ok"`
	SQLState *string         `json:"sqlstate"`
	Error    *string         `json:"error"`
}

type attempt func(ctx context.Context, url string) (answer string, err error)

func serve(driver string, try attempt) {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	out.Encode(map[string]string{"driver": driver, "version": version, "detail": runtime.Version()})
	for {
		var wanted login
		if err := in.Decode(&wanted); err == io.EOF {
			return
		} else if err != nil {
			panic(err)
		}
		out.Encode(judge(wanted, try))
	}
}

func judge(wanted login, try attempt) report {
	answer, err := within(60*time.Second, wanted, try)
	if err != nil {
		runtime.GC() // lib/pq leaves the socket of a server that it does not trust lying
	}
	if err == nil && answer != wanted.User+":42" {
		err = fmt.Errorf("unexpected answer: %s", answer)
	}
	if err == nil {
		return report{ID: wanted.ID, OK: true}
	}
	text := err.Error()
	failed := report{ID: wanted.ID, Error: &text}
	var server interface{ SQLState() string }
	if errors.As(err, &server) {
		state := server.SQLState()
		failed.SQLState = &state
	}
	return failed
}

// Not every driver heeds the context at every point, so that a login is also left behind when its time is over.
func within(limit time.Duration, wanted login, try attempt) (string, error) {
	// Neither driver has direct TLS or channel binding, and neither complains.
	if lacks[wanted.SSLMode] || wanted.ChannelBinding == "require" || wanted.SSLNegotiation == "direct" {
		return "", errUnsupported
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	type result struct {
		answer string
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer, err := try(ctx, wanted.url(limit))
		done <- result{answer, err}
	}()
	select {
	case result := <-done:
		if ctx.Err() == nil {
			return result.answer, result.err
		}
	case <-ctx.Done():
	}
	return "", errors.New("timeout")
}

func (wanted login) url(limit time.Duration) string {
	parameters := url.Values{
		"sslmode":         {wanted.SSLMode},
		"connect_timeout": {strconv.Itoa(int(limit.Seconds()))},
	}
	if wanted.SSLRootCert != "" {
		parameters.Set("sslrootcert", wanted.SSLRootCert)
	}
	if wanted.SSLCert != "" {
		parameters.Set("sslcert", wanted.SSLCert)
		parameters.Set("sslkey", wanted.SSLKey)
	}
	user := url.User(wanted.User)
	if wanted.Password != nil {
		user = url.UserPassword(wanted.User, *wanted.Password)
	}
	address := net.JoinHostPort(wanted.Host, strconv.Itoa(wanted.Port))
	return (&url.URL{Scheme: "postgres", User: user, Host: address, Path: wanted.Dbname, RawQuery: parameters.Encode()}).String()
}
