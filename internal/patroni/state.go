//go:build unix

package patroni

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// member is a node as Patroni shows it.
type member struct {
	Name     string `json:"name"`
	Role     string `json:"role"`
	State    string `json:"state"`
	Timeline int    `json:"timeline"`
}

// State is a cluster at one moment.
type State struct {
	Primary  *Node // nil: there is none
	Standby  *Node // that is synchronous
	Timeline int   // of the primary: it rises when a server is promoted, also to what it was before
	Nodes    []*Node

	complete bool // all nodes are there
}

// State asks Patroni how the cluster is, on any node that answers.
func (c *Cluster) State(ctx context.Context) (State, error) {
	var errs []error
	for _, n := range c.nodes {
		var answer struct {
			Members []member `json:"members"`
		}
		if err := n.ask(ctx, http.MethodGet, "/cluster", nil, &answer); err != nil {
			errs = append(errs, err)
			continue
		}
		return c.state(answer.Members), nil
	}
	return State{}, errors.Join(errs...)
}

func (c *Cluster) state(members []member) (s State) {
	s.Nodes = c.nodes
	well := 0
	for _, m := range members {
		i := slices.IndexFunc(c.nodes, func(n *Node) bool { return n.Name == m.Name })
		if i < 0 || m.State != "running" && m.State != "streaming" {
			continue
		}
		switch m.Role {
		case "leader":
			s.Primary, s.Timeline = c.nodes[i], m.Timeline
		case "sync_standby":
			s.Standby = c.nodes[i]
		}
	}
	for _, m := range members {
		if (m.State == "running" || m.State == "streaming") && m.Timeline == s.Timeline {
			well++
		}
	}
	s.complete = well == len(c.nodes)
	return s
}

// ask calls the API of a node's Patroni: from outside of the network, which may be partitioned.
func (n *Node) ask(ctx context.Context, method, path string, body, answer any) error {
	return ask(ctx, method, "http://"+address(n.rest)+path, body, answer)
}

func ask(ctx context.Context, method, url string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if method == http.MethodGet {
		ctx, cancel = context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
	}
	js, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(js))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// Await waits until the cluster is as it has to be.
func (c *Cluster) Await(what string, is func(State) bool) State {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := c.State(ctx)
		if err == nil && is(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("%s: it does not come about (%+v, %v)", what, s, err)
		}
	}
}

// AwaitSync waits until all nodes are up, and one is a synchronous standby.
func (c *Cluster) AwaitSync() State {
	c.t.Helper()
	return c.Await("three nodes, one of them a synchronous standby", func(s State) bool {
		return s.complete && s.Primary != nil && s.Standby != nil
	})
}

// AwaitFailover waits until another server is the primary, with a higher timeline.
func (c *Cluster) AwaitFailover(before State) State {
	c.t.Helper()
	return c.Await("another primary", func(s State) bool {
		return s.Primary != nil && s.Primary != before.Primary && s.Timeline > before.Timeline
	})
}

// AwaitRestart waits until the server of a node has another postmaster than it had, and lets clients
// write.
func (n *Node) AwaitRestart(before int) {
	n.c.t.Helper()
	n.c.Await(n.Name+" restarts", func(State) bool {
		conn, err := pgx.Connect(n.c.t.Context(), n.c.url(address(n.postgres), "&target_session_attrs=read-write"))
		if err != nil {
			return false
		}
		return conn.Close(n.c.t.Context()) == nil && n.postmaster() != before
	})
}

// Postmaster is the ID of the server's first process.
func (n *Node) Postmaster() int { return n.postmaster() }

// Switchover makes another node the primary, without a failure. It returns when that is so.
func (c *Cluster) Switchover(s State) error {
	return s.Primary.ask(c.t.Context(), http.MethodPost, "/switchover",
		map[string]string{"leader": s.Primary.Name, "candidate": s.Standby.Name}, nil)
}

// Configure changes settings of the whole cluster. It returns when the primary's Patroni knows them.
func (c *Cluster) Configure(s State, settings map[string]any) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := s.Primary.ask(ctx, http.MethodPatch, "/config", settings, nil); err != nil {
		return err
	}
	// It reads them at the end of a round, in whose beginning it sees the cluster.
	var first, seen struct {
		At int64 `json:"dcs_last_seen"`
	}
	rounds := 0
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for rounds < 3 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.Primary.ask(ctx, http.MethodGet, "/patroni", nil, &seen); err == nil && seen.At > first.At {
			first = seen
			rounds++
		}
	}
	return nil
}
