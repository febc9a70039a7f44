// Package effects has I/O, the environment and output.
package effects

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/tenter-dev/tenter/workflow"
)

//go:embed effects.go
var embedded embed.FS

type shop struct {
	db     *sql.DB
	client *http.Client
	log    *slog.Logger
	file   *os.File
	root   fs.FS
}

func (s *shop) network(ctx workflow.Context, in string) (string, error) {
	_, _ = http.Get(in) // want `http.Get is executed again on each replay, maybe with another result: move it into a step, workflow.Step or workflow.Do`
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, in, http.NoBody)
	_, _ = s.client.Do(req)                              // want `http.Client.Do is executed again`
	_, _ = http.DefaultClient.Head(in)                   // want `http.Client.Head is executed again`
	_, _ = net.Dial("tcp", in)                           // want `net.Dial is executed again`
	_, err := s.db.ExecContext(ctx, "DELETE FROM carts") // want `sql.DB.ExecContext is executed again`
	return "", err
}

func (s *shop) files(ctx workflow.Context, name string) ([]byte, error) {
	_, _ = s.file.WriteString(name)  // want `os.File.WriteString is executed again`
	_, _ = fs.ReadFile(s.root, name) // want `fs.ReadFile is executed again`
	_, _ = filepath.Glob("*")        // want `filepath.Glob is executed again`
	_ = exec.Command("ls").Run()     // want `exec.Cmd.Run is executed again`
	return os.ReadFile(name)         // want `os.ReadFile is executed again`
}

func environment(ctx workflow.Context, _ string) (string, error) {
	if _, ok := os.LookupEnv("DEBUG"); ok { // want `os.LookupEnv may give another value on replay: take it from the input of the run, or return it from a step`
		return os.Args[0], nil // want `os.Args may give another value`
	}
	_ = runtime.NumCPU()            // want `runtime.NumCPU may give another value`
	return os.Getenv("REGION"), nil // want `os.Getenv may give another value`
}

func output(ctx workflow.Context, name string) (string, error) {
	fmt.Println("hello", name)       // want `fmt.Println prints again on each replay: use workflow.Logger\(ctx\)`
	fmt.Fprintln(os.Stderr, "hello") // want `os.Stderr prints again`
	log.Printf("hello %s", name)     // want `log.Printf prints again`
	slog.Info("hello", "name", name) // want `slog.Info prints again`
	return "", nil
}

func client(ctx workflow.Context, c workflow.Client) (string, error) {
	other := workflow.Declare[string, string]("other")
	run, err := other.Start(ctx, c, "") // want `workflow.Workflow.Start is executed again on each replay: use Call or Go of the workflow for a child run, and a step for the rest`
	if err != nil {
		return "", err
	}
	if _, err := workflow.Resume(ctx, c, "token", true); err != nil { // want `workflow.Resume is executed again`
		return "", err
	}
	return run.Result(ctx) // want `workflow.Run.Result is executed again`
}

// What has no effect, and what has it in a step.

func (s *shop) fine(ctx workflow.Context, in string) (string, error) {
	workflow.Logger(ctx).Info("hello", "in", in)
	s.log.Info("maybe a logger of the workflow")
	var buf bytes.Buffer
	fmt.Fprintln(&buf, in)
	if _, err := url.Parse(in); err != nil {
		return "", err
	}
	if net.ParseIP(in) == nil || http.StatusText(200) == "" {
		return "", fs.ErrNotExist
	}
	if _, err := fs.ReadFile(embedded, "effects.go"); errors.Is(err, os.ErrNotExist) || os.IsNotExist(err) {
		return "", err
	}
	if _, err := workflow.Declare[string, string]("other").Call(ctx, in); err != nil {
		return "", err
	}
	return workflow.Step(ctx, "everything", func(ctx context.Context) (string, error) {
		fmt.Println(os.Getenv("REGION"))
		res, err := s.client.Get(in)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		_, err = s.db.ExecContext(ctx, "DELETE FROM carts")
		if err != nil {
			return "", err
		}
		_, err = workflow.Resume(ctx, workflow.ClientFrom(ctx), "token", res.Status)
		return res.Status, err
	})
}

func (s *shop) handler(w http.ResponseWriter, r *http.Request) {
	fmt.Println(os.Getenv("REGION"))
	_, _ = s.client.Get(r.URL.String())
}
