// Command approval runs a workflow that waits until somebody approves a document,
// through Ctrl-C, kill -9 and reboots. The workflow is in approval.go, what it does to
// the world in app.go, the HTTP API that resumes it in api.go; this file starts it all.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/database"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on; a free port if it is taken")
	db := flag.String("db", "sqlite:approval.db", database.Usage)
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, *addr, *db); err != nil {
		fmt.Fprintln(os.Stderr, "approval:", err)
		os.Exit(1)
	}
}

// run works until ctx ends, and lets the steps finish that are being executed then.
func run(ctx context.Context, addr, db string) error {
	st, err := database.Open(ctx, db) // sqlite.Open or postgres.Open
	if err != nil {
		return err
	}
	defer st.Close()

	listener, taken := net.Listen("tcp", addr)
	if taken != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		fmt.Printf("%v, so this is %s.\n\n", taken, listener.Addr())
	}

	// It is in a file, so that the browser's link is good after a restart too.
	key, err := access.APIKeyFile("approval.key", access.Write)
	if err != nil {
		return err
	}
	a := &app{url: "http://" + listener.Addr().String(), key: key}
	a.engine, err = engine.New(st, engine.Options{
		Workflows: []workflow.Definition{Approval.Implement(a.approve)},
		Hooks:     []workflow.HookDefinition{Decisions},
	})
	if err != nil {
		return err
	}
	defer a.engine.Close()

	server := &http.Server{Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener)
	defer func() {
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		server.Shutdown(soon)
	}()

	fmt.Printf("Stop this with Ctrl-C or kill -9 %d, and start it again: it goes on from %s.\n\n", os.Getpid(), st)
	if err := a.begin(ctx); err != nil {
		return err
	}
	return a.engine.Run(ctx)
}
