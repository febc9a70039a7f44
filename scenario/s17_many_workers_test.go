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
// cleanly; and again, until the time is over.

const workers = 4

func TestS17ManyWorkers(t *testing.T) {
	t.Parallel()
	s := newScene(t, newServerURL(t))
	services := make([]*service, workers)
	for i := range services {
		services[i] = newService(t, s.db, workLease)
	}
	over, stop := context.WithTimeout(t.Context(), lasting())
	defer stop()
	s.over = over
	s.begin()
	a := &adversity{scene: s, services: services}
	for i := 0; over.Err() == nil; i++ {
		if !a.pause(300*time.Millisecond, 300*time.Millisecond) {
			break
		}
		victim := services[rand.N(workers)]
		switch i % 3 {
		case 0:
			a.kill(victim)
		case 1:
			a.freeze(victim)
		case 2:
			a.terminate(victim)
		}
	}
	s.end(s.unfinished)
	fenced := a.fenced()
	for _, w := range services {
		w.close()
	}
	c := s.check()
	a.tell(c, fenced)
	if a.kills == 0 || a.freezes == 0 || a.terminations == 0 {
		t.Errorf("%d kills, %d freezes and %d terminations: too few", a.kills, a.freezes, a.terminations)
	}
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
