package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/bench/race/peer"
)

// serverProcess is restate-server as it comes, but for where it listens and its folder.
type serverProcess struct {
	cmd   *exec.Cmd
	ended chan struct{}
	admin string // URL
}

func startServer(ctx context.Context, c peer.Config) (*serverProcess, error) {
	admin, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	node, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	s := &serverProcess{
		cmd:   exec.CommandContext(context.WithoutCancel(ctx), c.Server, "--base-dir", c.Dir),
		ended: make(chan struct{}),
		admin: "http://" + admin,
	}
	s.cmd.Dir = c.Dir
	s.cmd.Env = append(os.Environ(),
		"RESTATE_INGRESS__BIND_ADDRESS="+addressOf(c.Port),
		"RESTATE_ADMIN__BIND_ADDRESS="+admin,
		"RESTATE_BIND_ADDRESS="+node,
		"RESTATE_ADVERTISED_ADDRESS=http://"+node,
		"RESTATE_DISABLE_TELEMETRY=true",
		"RESTATE_LOG_FILTER=warn",
	)
	s.cmd.Stdout, s.cmd.Stderr = os.Stderr, os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // it says why on the standard error
	}()
	return s, nil
}

func freeAddress(ctx context.Context) (string, error) {
	port, err := peer.FreePort(ctx)
	return addressOf(port), err
}

func addressOf(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// register tells the server where the services are, once it is up.
func (s *serverProcess) register(ctx context.Context, services string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	body, err := json.Marshal(map[string]string{"uri": services})
	if err != nil {
		return err
	}
	for {
		err := post(ctx, http.DefaultClient, s.admin+"/deployments", body)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-s.ended:
			return errors.New("restate-server has ended")
		case <-ctx.Done():
			return fmt.Errorf("register the services: %w", err)
		}
	}
}

// stop kills the server: nothing of it is needed again.
func (s *serverProcess) stop() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	return nil
}
