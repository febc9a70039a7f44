package scenario_test

import (
	"math/rand/v2"
	"slices"
	"time"
)

// adversity is what happens to the workers of a scene.
type adversity struct {
	*scene
	services                     []*service
	kills, freezes, terminations int
	stopping                     []time.Duration // how long clean stops took
}

// pause lets some time pass. It returns false if the load is over.
func (a *adversity) pause(least, more time.Duration) bool {
	select {
	case <-time.After(least + rand.N(more)):
		return true
	case <-a.over.Done():
		return false
	}
}

// progress waits until five more runs were started for each mishap so far. What happens
// to processes that are still starting, as on a slow machine, proves nothing.
func (a *adversity) progress() {
	mishaps := a.kills + a.freezes + a.terminations
	for runs := 0; runs < 5*(mishaps+1); runs, _, _ = a.chron.numbers() {
		if !a.pause(0, 100*time.Millisecond) {
			return
		}
	}
}

// kill ends a worker with SIGKILL; it is started again.
func (a *adversity) kill(s *service) {
	id, began := s.id(), time.Now()
	s.kill()
	a.kills++
	a.chron.suffer(mishap{process: id, what: "killed", began: began, over: time.Now()})
}

// terminate ends a worker with SIGTERM; it is started again. No step may be executed
// twice for it.
func (a *adversity) terminate(s *service) {
	id, began := s.id(), time.Now()
	if code := s.terminate(); code != 0 {
		a.t.Errorf("a worker that was terminated exits with %d", code)
	}
	a.terminations++
	a.stopping = append(a.stopping, time.Since(began))
	a.chron.suffer(mishap{process: id, what: "terminated", began: began, over: time.Now(), harmless: true})
}

// fenced returns how many transitions of the workers that are up were refused because
// they had lost the run.
func (a *adversity) fenced() (n int64) {
	for _, s := range a.services {
		var more int64
		if err := s.call("Fenced", struct{}{}, &more); err != nil {
			a.t.Error(err)
		}
		n += more
	}
	return n
}

// tell logs what was seen.
func (a *adversity) tell(c *checker, fenced int64) {
	runs, payloads, uncertain := a.chron.numbers()
	events, again := 0, 0
	for _, all := range c.inv.events {
		events += len(all)
	}
	steps := map[string]int{}
	for _, e := range c.effects {
		if steps[e.Step]++; steps[e.Step] > 1 {
			again++
		}
	}
	a.t.Logf("%d kills, %d freezes, %d clean stops", a.kills, a.freezes, a.terminations)
	a.t.Logf("%d runs were started (%d with children and successors, %d events), %d payloads sent (%d of unknown outcome)",
		runs, len(c.inv.runs), events, payloads, uncertain)
	a.t.Logf("%d steps, %d were executed again; the workers that are left were refused %d transitions", len(steps), again, fenced)
	for _, what := range []string{"killed", "frozen"} {
		if took := takeOvers(c, what); len(took) > 0 {
			a.t.Logf("steps of workers that were %s began elsewhere after %s in the median, at most %s (%d steps)", what,
				took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), len(took))
		}
	}
	if len(a.stopping) > 0 {
		a.t.Logf("clean stops took at most %s", slices.Max(a.stopping).Round(time.Millisecond))
	}
}

// takeOvers returns, in ascending order, after what time steps that workers were
// executing when something happened to them began to be executed by others.
func takeOvers(c *checker, what string) (took []time.Duration) {
	bySteps := map[string][]effect{}
	for _, e := range c.effects {
		bySteps[e.Step] = append(bySteps[e.Step], e)
	}
	for _, m := range c.chron.mishaps {
		if m.what != what {
			continue
		}
		for _, all := range bySteps {
			for i, e := range all[:len(all)-1] {
				if again := all[i+1]; e.Process == m.process && e.Began.Before(m.began) && (e.Ended.IsZero() || e.Ended.After(m.began)) && again.Began.After(m.began) {
					took = append(took, again.Began.Sub(m.began))
				}
			}
		}
	}
	slices.Sort(took)
	return took
}
