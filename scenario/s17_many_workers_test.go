//go:build unix

package scenario_test

import (
	"context"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// S17: four worker processes on one PostgreSQL, under load from a process that executes
// nothing. One is killed, one is frozen for longer than its lease, one is stopped
// cleanly; twice at least, and until the time is over.

const workers = 4

func TestS17ManyWorkers(t *testing.T) {
	t.Parallel()
	s := newScene(t, newServerURL(t))
	services := make([]*service, workers)
	for i := range services {
		services[i] = newService(t, s.db, workLease)
	}
	over, stop := context.WithCancel(t.Context())
	defer stop()
	s.over = over
	s.begin()
	a := &adversity{scene: s, services: services}
	began := time.Now()
	for round := 0; round < 2 || time.Since(began) < lasting(); round++ {
		for _, suffer := range []func(*service){a.kill, a.freeze, a.terminate} {
			a.pause(300*time.Millisecond, 300*time.Millisecond)
			a.progress()
			suffer(services[rand.N(workers)])
		}
	}
	stop()
	s.end(s.unfinished)
	fenced := a.fenced()
	for _, w := range services {
		w.close()
	}
	c := s.check()
	a.tell(c, fenced)
}

// freeze stops a worker for longer than its lease, and lets it go on.
func (a *adversity) freeze(s *service) {
	p, began := s.process().cmd.Process, time.Now()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		a.t.Error(err)
	}
	<-time.After(workLease + workLease/2 + rand.N(workLease))
	if err := p.Signal(syscall.SIGCONT); err != nil {
		a.t.Error(err)
	}
	a.freezes++
	a.chron.suffer(mishap{process: p.Pid, what: "frozen", began: began, over: time.Now()})
}
