package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// A Role says which part of a system a process has.
type Role string

// The roles.
const (
	RoleAll    Role = ""       // everything
	RoleWorker Role = "worker" // what executes runs, and the system's server, if it has one
	RoleClient Role = "client" // what starts runs and awaits their results
)

// Config says what a system is to be opened with. A worker and its client get the same,
// except for the role.
type Config struct {
	Role   Role
	Store  string // "sqlite", "postgres", or "" if the system has but one
	Dir    string // a folder for files, empty unless the role is RoleClient
	URL    string // of a database, as empty as Dir, if the store is PostgreSQL
	Server string // path of the system's server, if that is a program of its own
	Port   int    // of loopback, where the system's server listens for clients, if it has one
}

// Main opens a system and executes commands until its input ends.
func Main(open func(context.Context, Config) (System, error)) {
	// Whatever else prints does not come between the results.
	results := os.Stdout
	os.Stdout = os.Stderr
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, open, os.Stdin, results); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, open func(context.Context, Config) (System, error), in io.Reader, out io.Writer) (err error) {
	lines := json.NewDecoder(bufio.NewReader(in))
	var config Config
	if err := lines.Decode(&config); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	system, err := open(ctx, config)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, system.Close()) }()
	r := &runner{system: system, role: config.Role}
	results := json.NewEncoder(out)
	if err := results.Encode(Result{}); err != nil { // ready
		return err
	}
	for {
		var c Command
		if err := lines.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a command: %w", err)
		}
		result, err := r.execute(ctx, c)
		if err != nil {
			result.Error = err.Error()
		}
		if err := results.Encode(result); err != nil {
			return err
		}
	}
}
