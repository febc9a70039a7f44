// Package demo is the frame of the examples that play a scene and end: a database, an
// engine, Ctrl-C. See examples/approval for the same without a frame, in a program
// that stays up.
package demo

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/database"
)

// Main parses the flags, executes the workflows of opts while play is at work, and
// ends the program if play fails.
func Main(opts engine.Options, play func(context.Context, *engine.Engine) error) {
	untilCtrlC(func(ctx context.Context, db string) error { return run(ctx, db, opts, play) })
}

func untilCtrlC(f func(ctx context.Context, db string) error) {
	db := flag.String("db", "", database.Usage+" (default a temporary file)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	err := f(ctx, *db)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, db string, opts engine.Options, play func(context.Context, *engine.Engine) error) error {
	if db == "" {
		dir, err := os.MkdirTemp("", "tenter-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		db = filepath.Join(dir, "demo.db")
	}
	st, err := database.Open(ctx, db)
	if err != nil {
		return err
	}
	defer st.Close()
	opts.Lease = time.Second // a demonstration that was killed goes on soon
	eng, err := engine.New(st, opts)
	if err != nil {
		return err
	}
	defer eng.Close()

	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer cancel() // without an engine, play would wait forever
		ended <- eng.Run(ctx)
	}()
	err = play(ctx, eng)
	cancel()
	return errors.Join(<-ended, err)
}

// shutdown lets the requests under way end, if they do soon.
func shutdown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	server.Shutdown(ctx)
}

// Serve serves h on addr until ctx ends, or, if addr is empty, on a free port while
// play is at work.
func Serve(ctx context.Context, addr string, h http.Handler, play func(url string) error) error {
	listener, err := net.Listen("tcp", cmp.Or(addr, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.MaxBytesHandler(h, 1<<20), ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener)
	defer shutdown(server)

	url := "http://" + listener.Addr().String()
	if addr == "" {
		return play(url)
	}
	fmt.Printf("At %s until Ctrl-C.\n", url)
	<-ctx.Done()
	return nil
}
