package scenario_test

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/faultproxy"
)

// TestDatabaseFaults: between each process and the database, the API process included,
// there is a proxy that cuts, delays and half-delivers; and from time to time the server
// crashes, and comes up again. Whoever must know asks again, others never hear what
// became of their payloads.
func TestDatabaseFaults(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	direct := server.URL()
	proxies := make([]*faultproxy.Proxy, 3)
	urls := make([]string, len(proxies))
	for i := range proxies {
		proxies[i], urls[i] = newProxy(t, direct, uint64(i))
	}
	s := newScene(t, direct)
	s.api = newDatabase(t, urls[0]).api
	services := make([]*service, len(proxies)-1)
	for i := range services {
		services[i] = newRole(t, s.db, role{Database: urls[i+1], Lease: workLease})
	}
	s.workersUp(len(services))
	over, stop := context.WithTimeout(t.Context(), lasting())
	defer stop()
	s.over = over
	a := &adversity{scene: s, services: services}
	every := 100 * time.Millisecond
	if *scenarioFor > 0 {
		every *= 4 // so that something gets done
	}
	var torments sync.WaitGroup
	for _, p := range proxies {
		torments.Go(func() { p.Torment(over, every) })
	}
	s.begin()
	crashes := 0
	for a.pause(lasting()/8, lasting()/4) {
		began := time.Now()
		server.Crash()
		a.pause(0, 2*time.Second)
		server.Start()
		crashes++
		for _, w := range services {
			s.chron.suffer(mishap{process: w.id(), what: "without its database", began: began, over: time.Now().Add(workLease)})
		}
	}
	torments.Wait()
	s.end(s.unfinished)
	kinds := map[faultproxy.Kind]int{}
	for i, p := range proxies {
		for _, f := range p.Faults() {
			kinds[f.Kind]++
			if i > 0 {
				// What it was about to write may have been on the way for long.
				s.chron.suffer(mishap{process: services[i-1].id(), what: string(f.Kind), began: f.Began, over: f.Ended.Add(workLease)})
			}
		}
	}
	fenced := a.fenced()
	for _, w := range services {
		w.close()
		if n := w.died(); n > 0 {
			t.Errorf("worker %d died %d times, of what is wrong with the network alone", w.id(), n)
		}
	}
	c := s.check()
	a.tell(c, fenced)
	faults := 0
	for _, n := range kinds {
		faults += n
	}
	t.Logf("%d faults: %v; the server crashed %d times", faults, kinds, crashes)
	if faults < 20 || *scenarioFor >= 5*time.Minute && faults < 1000 {
		t.Errorf("%d faults are too few", faults)
	}
}

// newProxy puts a proxy before the server of a database. It returns the URL of the
// database there.
func newProxy(t *testing.T, database string, seed uint64) (*faultproxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	network, server := "tcp", u.Host
	if host := u.Query().Get("host"); host != "" {
		network, server = "unix", fmt.Sprintf("%s/.s.PGSQL.%s", host, u.Query().Get("port"))
	}
	p, err := faultproxy.Listen(network, server, faultproxy.Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	u.Host, u.RawQuery = p.Addr().String(), "sslmode=disable"
	return p, u.String()
}
