//go:build unix

package scenario_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/patroni"
	"github.com/tenter-dev/tenter/workflow"
)

var (
	failovers   = flag.Int("scenario.failovers", 0, "how many times TestFailover kills the primary, with other faults between; 0: once")
	failoverTTL = flag.Duration("scenario.ttl", patroni.Fast.TTL, "Patroni's ttl in TestFailover: 20 s at least")
	failoverDoc = flag.String("scenario.failover-doc", "", "a file whose section failover TestFailover writes")
)

// TestFailover: four workers and a process that takes requests, on a PostgreSQL that is highly
// available, whose primary is killed, frozen, cut off and replaced under load. Work goes on within
// the time that Patroni takes to notice and some seconds.
func TestFailover(t *testing.T) {
	t.Parallel()
	opts := patroni.Fast
	opts.TTL = *failoverTTL
	cluster := patroni.Start(t, opts)
	makeSchema(t, cluster.URL())
	db := &database{url: cluster.URL()}
	s := setScene(t, db)
	s.pace = 2 * time.Second // three servers share the machine
	services := make([]*service, workers)
	for i := range services {
		services[i] = newRole(t, db, role{Database: db.url, Lease: workLease})
	}
	front := newRole(t, db, role{Database: db.url, Webhooks: true})
	s.fronts = []*service{front}
	s.api = &remote{services: s.fronts}
	s.workersUp(workers)
	over, stop := context.WithCancel(t.Context())
	defer stop()
	s.over = over
	f := &failover{
		adversity: &adversity{scene: s, services: append(slices.Clone(services), front)}, cluster: cluster, opts: opts,
		pauses: make(map[string][]time.Duration), elected: make(map[string][]time.Duration), completed: make(chan struct{}, 1),
	}
	s.begin()
	s.all.Go(f.probe)
	for i, m := range f.plan(*failovers) {
		t.Logf("%s: fault %d, %s", clock(time.Now()), i+1, m.what)
		f.suffer(m)
	}
	stop()
	s.end(s.unfinished)
	fenced := f.fenced()
	for _, w := range f.services {
		w.close()
		if n := w.died(); n > 0 {
			t.Errorf("process %d died %d times, of what is wrong with the database alone", w.id(), n)
		}
	}
	c := s.check()
	f.tell(c, fenced)
	f.report(c)
}

// failover is what happens to the database of a scene.
type failover struct {
	*adversity
	cluster *patroni.Cluster
	opts    patroni.Options

	kinds   []string                   // in the order in which they came first
	pauses  map[string][]time.Duration // until work went on
	elected map[string][]time.Duration // until there was another primary

	mu        sync.Mutex
	last      probe         // that was completed
	completed chan struct{} // has one when there is another
}

// probe is a run that shows that work goes on.
type probe struct{ began, ended time.Time }

// A misfortune happens to the database.
type misfortune struct {
	what string

	// cause returns what ends it.
	cause func(f *failover, s patroni.State) (end func())

	failsOver bool          // another server becomes the primary
	lasts     time.Duration // how long it lasts; 0: until work goes on
	blocks    bool          // nothing can go on before it ends
}

func nothing() {}

var (
	killPostgres = misfortune{
		what: "kill of the primary's postmaster", failsOver: true,
		cause: func(_ *failover, s patroni.State) func() { s.Primary.KillPostgres(); return nothing },
	}
	killNode = misfortune{
		what: "kill of the primary with its Patroni", failsOver: true,
		cause: func(_ *failover, s patroni.State) func() { s.Primary.Kill(); return s.Primary.Start },
	}
	restart = misfortune{
		what: "kill of the primary's postmaster, restarted in place",
		cause: func(f *failover, s patroni.State) func() {
			f.configure(s, map[string]any{"primary_start_timeout": 300})
			before := s.Primary.Postmaster()
			s.Primary.KillPostgres()
			s.Primary.AwaitRestart(before)
			return func() { f.configure(f.cluster.AwaitSync(), map[string]any{"primary_start_timeout": 0}) }
		},
	}
	switchover = misfortune{
		what: "switchover", failsOver: true,
		cause: func(f *failover, s patroni.State) func() {
			if err := f.cluster.Switchover(s); err != nil {
				f.t.Error(err)
			}
			return nothing
		},
	}
)

// others come between kills.
var others = []misfortune{
	switchover,
	{
		what: "partition: the primary from all others", failsOver: true,
		cause: partition(func(n *patroni.Network, s patroni.State) {
			for _, other := range parties(s, s.Primary) {
				n.Part(other, s.Primary.Name)
			}
		}),
	},
	{
		what: "freeze of the primary's Patroni", failsOver: true, lasts: time.Second,
		cause: func(_ *failover, s patroni.State) func() { return s.Primary.FreezePatroni() },
	},
	{
		what: "partition: the primary from etcd", failsOver: true,
		cause: partition(func(n *patroni.Network, s patroni.State) { n.Part(s.Primary.Name, patroni.Etcd) }),
	},
	switchover,
	{
		what: "partition: the synchronous standby from all others",
		cause: partition(func(n *patroni.Network, s patroni.State) {
			for _, other := range parties(s, s.Standby) {
				n.Part(other, s.Standby.Name)
			}
		}),
	},
	{
		what: "freeze of the primary with its Patroni", failsOver: true,
		cause: func(_ *failover, s patroni.State) func() { return s.Primary.Freeze() },
	},
	{
		what: "partition, one way: nothing leaves the primary", failsOver: true,
		cause: partition(func(n *patroni.Network, s patroni.State) {
			for _, other := range parties(s, s.Primary) {
				n.Cut(s.Primary.Name, other)
			}
		}),
	},
	{
		what: "freeze of the primary's postmaster", lasts: 30 * time.Second,
		cause: func(_ *failover, s patroni.State) func() { return s.Primary.FreezePostmaster() },
	},
	{
		what: "partition, one way: nothing reaches the primary", failsOver: true,
		cause: partition(func(n *patroni.Network, s patroni.State) {
			for _, other := range parties(s, s.Primary) {
				n.Cut(other, s.Primary.Name)
			}
		}),
	},
	{
		what: "partition: the primary from both standbys", lasts: 20 * time.Second, blocks: true,
		cause: partition(func(n *patroni.Network, s patroni.State) {
			for _, other := range parties(s, s.Primary) {
				if other != patroni.Etcd && other != patroni.Clients {
					n.Part(other, s.Primary.Name)
				}
			}
		}),
	},
}

// parties are all that a node can be cut off from.
func parties(s patroni.State, node *patroni.Node) []string {
	all := []string{patroni.Etcd, patroni.Clients, patroni.Peers}
	for _, n := range s.Nodes {
		if n != node {
			all = append(all, n.Name)
		}
	}
	return all
}

func partition(cut func(n *patroni.Network, s patroni.State)) func(*failover, patroni.State) func() {
	return func(f *failover, s patroni.State) func() {
		cut(f.cluster.Network, s)
		return f.cluster.Network.Heal
	}
}

// plan returns what is to happen: kills, of which one in five is restarted in place, and others
// between.
func (*failover) plan(kills int) (all []misfortune) {
	if kills == 0 {
		return []misfortune{killPostgres, switchover}
	}
	between := max(len(others), kills/5)
	turn := []misfortune{killPostgres, killNode, killPostgres, killNode, restart}
	placed := 0
	for i := range kills {
		all = append(all, turn[i%len(turn)])
		for ; placed < (i+1)*between/kills; placed++ {
			all = append(all, others[placed%len(others)])
		}
	}
	return all
}

func (f *failover) configure(s patroni.State, settings map[string]any) {
	if err := f.cluster.Configure(s, settings); err != nil {
		f.t.Error(err)
	}
}

// suffer has something happen, and sees to it that work goes on.
func (f *failover) suffer(m misfortune) {
	f.t.Helper()
	s := f.cluster.AwaitSync()
	f.goesOn(time.Now())
	began := time.Now()
	end := m.cause(f, s)
	since := began
	if m.failsOver {
		f.cluster.AwaitFailover(s)
		f.elected[m.what] = append(f.elected[m.what], time.Since(began))
	}
	if m.lasts > 0 {
		f.pause(m.lasts, time.Millisecond)
	}
	if m.lasts > 0 && (m.blocks || m.failsOver) {
		if m.blocks {
			since = time.Now()
		}
		end()
		end = nothing
	}
	// A run that began before may have been committed before.
	pause := f.goesOn(time.Now()).Sub(since)
	end()
	after := f.cluster.AwaitSync()
	if m.failsOver != (after.Primary != s.Primary) {
		f.t.Errorf("%s: the primary was %s, and is %s", m.what, s.Primary.Name, after.Primary.Name)
	}
	f.t.Logf("%s: work went on after %v", m.what, pause.Round(time.Millisecond))
	if len(f.pauses[m.what]) == 0 {
		f.kinds = append(f.kinds, m.what)
	}
	f.pauses[m.what] = append(f.pauses[m.what], pause)
	for _, w := range f.services {
		f.chron.suffer(mishap{process: w.id(), what: m.what, began: began, over: time.Now().Add(workLease)})
	}
}

// goesOn returns when a run has been completed that was started after a time.
func (f *failover) goesOn(after time.Time) time.Time {
	f.t.Helper()
	ctx := within(f.t)
	for {
		f.mu.Lock()
		last := f.last
		f.mu.Unlock()
		if last.began.After(after) {
			return last.ended
		}
		select {
		case <-f.completed:
		case <-ctx.Done():
			f.t.Fatal("work does not go on")
		}
	}
}

// probe has one run executed after the other.
func (f *failover) probe() {
	try := func(call func(ctx context.Context) error) {
		for f.t.Context().Err() == nil {
			ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Second)
			err := call(ctx)
			cancel()
			if err == nil {
				return
			}
			f.pause(20*time.Millisecond, time.Millisecond)
		}
	}
	for n := 0; f.pause(50*time.Millisecond, 50*time.Millisecond); n++ {
		id, began := fmt.Sprint("probe-", n), time.Now()
		asked := f.chron.start(id, fmt.Sprint(2*n))
		try(func(ctx context.Context) error {
			_, err := errand.Start(ctx, f.api, task{Log: f.log, N: n}, workflow.RunID(id))
			if errors.Is(err, workflow.ErrRunExists) {
				return nil
			}
			return err
		})
		f.chron.certainly(&asked.certain)
		try(func(ctx context.Context) error {
			_, err := errand.Get(f.api, id).Result(ctx)
			return err
		})
		f.mu.Lock()
		f.last = probe{began, time.Now()}
		f.mu.Unlock()
		select {
		case f.completed <- struct{}{}:
		default:
		}
	}
}

// report says how long it took until work went on, and writes it into a document if asked to.
func (f *failover) report(c *checker) {
	f.t.Helper()
	var text strings.Builder
	faults := 0
	for _, all := range f.pauses {
		faults += len(all)
	}
	runs, payloads, uncertain := f.chron.numbers()
	fmt.Fprintf(&text, "Measured on %s: %d faults, ttl %v, loop_wait %v, %d CPUs, load average in the end: %s.\n\n",
		time.Now().Format(time.DateOnly), faults, f.opts.TTL, f.opts.LoopWait, runtime.NumCPU(), loadAverage())
	text.WriteString("| fault | times | another primary after, p50 | work went on after, p50 | at most | later than ttl + 10 s |\n|---|---:|---:|---:|---:|---:|\n")
	for _, what := range f.kinds {
		pauses, elected := f.pauses[what], f.elected[what]
		slices.Sort(pauses)
		slices.Sort(elected)
		primary := "–"
		if len(elected) > 0 {
			primary = seconds(elected[len(elected)/2])
		}
		late := 0
		for _, p := range pauses {
			if p > f.opts.TTL+10*time.Second {
				late++
			}
		}
		fmt.Fprintf(&text, "| %s | %d | %s | %s | %s | %d |\n", what, len(pauses), primary, seconds(pauses[len(pauses)/2]), seconds(pauses[len(pauses)-1]), late)
	}
	fmt.Fprintf(&text, "\n%d runs were started (%d with children and successors), %d payloads and\nrequests sent, %d of them of unknown outcome. Lost, delivered twice, wrong: %d.\n",
		runs, len(c.inv.runs), payloads, uncertain, len(c.found))
	f.t.Logf("\n%s", &text)
	if *failoverDoc != "" && !f.t.Failed() {
		if err := replaceSection(*failoverDoc, "failover", text.String()); err != nil {
			f.t.Error(err)
		}
	}
}

// loadAverage is that of the last 15 minutes.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 2 {
		return fields[2]
	}
	return "unknown"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// replaceSection puts text between two lines of a file: <!-- name: begin --> and
// <!-- name: end -->.
func replaceSection(path, name, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+": begin -->\n", "<!-- "+name+": end -->\n"
	before, rest, begins := strings.Cut(string(data), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		return fmt.Errorf("%s has no lines %q and %q for the table", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(path, []byte(before+begin+text+end+after), 0o644)
}
