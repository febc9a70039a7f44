package scenario_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// A chronicle is what a test has seen with its own eyes: what it asked for and was
// told, what it did to its processes, and what steps did to the world. It knows
// nothing from the database.
type chronicle struct {
	mu       sync.Mutex
	starts   map[string]*asked   // by run ID
	payloads map[string]*payload // by text, that no other has
	mishaps  []mishap
}

// asked is a run that was to be started.
type asked struct {
	certain bool   // Start has returned
	result  string // JSON that it has to return, or empty
}

// payload is a text that was sent to a hook.
type payload struct {
	text, token, key string
	sender           string // sends one after the other
	number           int    // of the sender's
	certain          bool   // Resume has returned
	refused          bool   // nothing may have been written
}

// A mishap is what happened to a process.
type mishap struct {
	process     int // its ID
	what        string
	began, over time.Time
	harmless    bool // no run may get lost by it
}

func (m mishap) String() string {
	return fmt.Sprintf("process %d was %s from %s to %s", m.process, m.what, clock(m.began), clock(m.over))
}

// effect is what a step has done to the world.
type effect struct {
	Run, Step string // Step is the ID
	Process   int
	Began     time.Time
	Ended     time.Time // zero in the line that is written when it begins
}

func newChronicle() *chronicle {
	return &chronicle{starts: map[string]*asked{}, payloads: map[string]*payload{}}
}

// start notes that a run is about to be started.
func (c *chronicle) start(runID, result string) *asked {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &asked{result: result}
	c.starts[runID] = a
	return a
}

// send notes that a payload is about to be sent.
func (c *chronicle) send(p payload) *payload {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.payloads[p.text] = &p
	return &p
}

// certainly notes that what was asked for is durable, or that nothing was written.
func (c *chronicle) certainly(is *bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*is = true
}

// suffer notes a mishap.
func (c *chronicle) suffer(m mishap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mishaps = append(c.mishaps, m)
}

// numbers counts what is in the chronicle.
func (c *chronicle) numbers() (runs, payloads, uncertain int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.payloads {
		if !p.certain && !p.refused {
			uncertain++
		}
	}
	return len(c.starts), len(c.payloads), uncertain
}

// act does what a step does, and records it in a file that all processes write to: a
// line when it begins and a line when it ends.
func act(ctx context.Context, path string, do func() error) error {
	info := workflow.InfoOf(ctx)
	e := effect{Run: info.RunID, Step: info.StepID, Process: os.Getpid(), Began: time.Now()}
	if err := e.append(path); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	e.Ended = time.Now()
	return e.append(path)
}

func (e *effect) append(path string) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// effects reads what steps have recorded, in the order in which they began; those that
// did not come to their end have none.
func effects(path string) ([]effect, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	type key struct {
		step    string
		process int
		began   time.Time
	}
	var all []effect
	begun := map[key]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e effect
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		k := key{e.Step, e.Process, e.Began}
		if i, ok := begun[k]; ok {
			all[i].Ended = e.Ended
			continue
		}
		begun[k] = len(all)
		all = append(all, e)
	}
	return all, lines.Err()
}
