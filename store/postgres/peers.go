package postgres

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/store"
)

const (
	// beat is how often a process says that it listens. One that was not heard for three
	// of them is gone.
	beat = 10 * time.Second

	// slower is how much less often the database is looked at when notifications come.
	slower = 10

	// maxIDs fit into one notification, which has less than 8,000 bytes.
	maxIDs = 100

	// maxPending is how much waits to be sent before it is said in short.
	maxPending = 10_000

	// deafPause is how long nobody listens where notifications never came. Through a
	// PgBouncer each try leaves a connection to the server that listens.
	deafPause = 5 * time.Minute

	// courtesy is how long it is tried to tell others.
	courtesy = 5 * time.Second
)

// notice is what processes tell each other, as JSON in a notification.
type notice struct {
	From      string   `json:"from"`
	Here      bool     `json:"here,omitempty"`   // I listen
	Awaits    bool     `json:"awaits,omitempty"` // and await what others end or answer
	Works     string   `json:"works,omitempty"`  // and claim runs: a digest of which
	Knows     string   `json:"knows,omitempty"`  // who listens, or awaits, as I know from now on
	Mail      []string `json:"mail,omitempty"`
	Ended     []string `json:"ended,omitempty"`
	Responded []string `json:"responded,omitempty"`
	All       bool     `json:"all,omitempty"`
}

// peers are the other processes that have the schema open. What this one commits is
// announced if any of them listens, and what it ends or answers if any of them awaits
// such: after the commit, because a notification in the transaction would have all commits
// of the server wait for each other.
//
// A process that begins to listen or to await says so. Each of the others tells it when it
// knows; then it looks at everything, since until then it may not have been told.
//
// Of the workers that would claim the same runs one is chosen for those of a notification,
// by each of them for itself; the others leave them to it for a moment, instead of trying
// all at once. If the sender works too, it has tried already.
type peers struct {
	s       *Store
	conf    *pgx.ConnConfig
	channel string
	id      string
	wake    chan struct{}

	mu        sync.Mutex
	pending   store.Signal
	seen      map[string]peer
	listening bool      // notifications come
	since     time.Time // that is so
	awaiting  int       // how many here await what others end or answer
	awaited   time.Time // when that became none
	awaits    bool      // the others are told, or to be told, that somebody does
	unsaid    bool      // they are to be told
	works     map[string]works

	saying sync.Mutex // held while here says what is so
}

// works is what a worker of this process claims.
type works struct {
	on    string // a digest of its workflows and versions
	until time.Time
}

// peer is another process.
type peer struct {
	heard  time.Time // when it last said that it listens
	awaits bool
	works  string // a digest of what it claims; empty: nothing
}

// gone reports whether it was not heard for too long.
func (p peer) gone() bool { return time.Since(p.heard) >= 3*beat }

func newPeers(s *Store, conf *pgx.ConnConfig) *peers {
	return &peers{
		s: s, conf: conf, channel: s.opts.Schema, id: rand.Text()[:10],
		wake: make(chan struct{}, 1), seen: make(map[string]peer), works: make(map[string]works),
	}
}

func (p *peers) start(ctx context.Context, tasks *sync.WaitGroup) {
	tasks.Go(func() { p.listen(ctx) })
	tasks.Go(func() { p.send(ctx) })
	tasks.Go(func() { p.poll(ctx) })
}

// announce has the other processes told, what was ended or answered only if it is for
// everybody or awaited. It does not wait.
func (p *peers) announce(sig store.Signal, everybody bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	listens, awaits := p.audience()
	if !awaits && !everybody {
		sig.Ended, sig.Responded = nil, nil
	}
	if !listens || !sig.All && len(sig.Mail)+len(sig.Ended)+len(sig.Responded) == 0 {
		return
	}
	p.pending.Mail = append(p.pending.Mail, sig.Mail...)
	p.pending.Ended = append(p.pending.Ended, sig.Ended...)
	p.pending.Responded = append(p.pending.Responded, sig.Responded...)
	p.pending.All = p.pending.All || sig.All
	if len(p.pending.Mail)+len(p.pending.Ended)+len(p.pending.Responded) > maxPending {
		p.pending = store.Signal{All: true}
	}
	p.rouse()
}

// rouse makes send send everything.
func (p *peers) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// audience reports whether others may listen, and await what is ended or answered. A process that
// cannot listen, or has not for long, cannot know; those who await answer at once.
func (p *peers) audience() (listens, awaits bool) {
	if !p.listening || time.Since(p.since) < time.Second {
		return true, true
	}
	listens = time.Since(p.since) < 2*beat
	for id, o := range p.seen {
		if o.gone() {
			delete(p.seen, id)
			continue
		}
		listens, awaits = true, awaits || o.awaits
	}
	return listens, awaits
}

// await counts who awaits what others end or answer. The others are told when it is the
// first.
func (p *peers) await(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaiting += n
	if p.awaiting == 0 {
		p.awaited = time.Now()
	} else if !p.awaits {
		p.awaits, p.unsaid = true, true
		p.rouse()
	}
}

// work notes what a worker here claims, and for how long. The others are told when that
// is news.
func (p *peers) work(l store.Lease) {
	defs := slices.Clone(l.Definitions)
	slices.SortFunc(defs, func(a, b store.Definition) int {
		return cmp.Or(cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Version, b.Version))
	})
	sum := sha256.Sum256(fmt.Append(nil, defs))
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.worksOn()
	p.works[l.Worker] = works{hex.EncodeToString(sum[:8]), time.Now().Add(l.For)}
	p.sayWorks(before)
}

// rest notes that a worker here claims nothing any more.
func (p *peers) rest(worker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.worksOn()
	delete(p.works, worker)
	p.sayWorks(before)
}

// sayWorks tells the others what is claimed here, if that is not what it was before.
func (p *peers) sayWorks(before string) {
	if p.worksOn() != before {
		p.unsaid = true
		p.rouse()
	}
}

// worksOn is a digest of what is claimed here: empty if that is nothing, or differs from
// worker to worker.
func (p *peers) worksOn() string {
	on := ""
	for worker, w := range p.works {
		switch {
		case time.Now().After(w.until):
			delete(p.works, worker)
		case on != "" && on != w.on:
			return ""
		default:
			on = w.on
		}
	}
	return on
}

// yields reports whether another worker is to claim the runs of a notification.
func (p *peers) yields(n *notice) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	on := p.worksOn()
	if on == "" || len(n.Mail) == 0 {
		return false
	}
	rank := func(id string) [sha256.Size]byte { return sha256.Sum256([]byte(id + " " + n.Mail[0])) }
	mine := rank(p.id)
	for id, o := range p.seen {
		if o.gone() || o.works != on {
			continue
		}
		if theirs := rank(id); bytes.Compare(theirs[:], mine[:]) > 0 {
			return true
		}
	}
	return false
}

// lull tells the others when nobody here has awaited anything for a while.
func (p *peers) lull() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaits && p.awaiting == 0 && time.Since(p.awaited) > 2*time.Second {
		p.awaits, p.unsaid = false, true
		p.rouse()
	}
}

// send sends what is pending, all that has come together meanwhile at once. In the end
// it says the last: that others may go on with what this process has released.
func (p *peers) send(ctx context.Context) {
	for last := false; !last; {
		select {
		case <-p.wake:
		case <-ctx.Done():
			last = true
		}
		p.mu.Lock()
		notices, unsaid := p.notices(p.pending), p.unsaid
		p.pending, p.unsaid = store.Signal{}, false
		p.mu.Unlock()
		if unsaid {
			_ = p.here(context.WithoutCancel(ctx), "")
		}
		// Others look at the database now and then: a notification may get lost, but
		// not those that come after it.
		_ = p.notify(context.WithoutCancel(ctx), notices)
	}
}

// notices are the notifications for a signal.
func (p *peers) notices(sig store.Signal) []notice {
	if sig.All {
		return []notice{{From: p.id, All: true}}
	}
	var all []notice
	cut := func(ids *[]string) []string {
		part := (*ids)[:min(len(*ids), maxIDs/3)]
		*ids = (*ids)[len(part):]
		return part
	}
	for len(sig.Mail)+len(sig.Ended)+len(sig.Responded) > 0 {
		all = append(all, notice{From: p.id, Mail: cut(&sig.Mail), Ended: cut(&sig.Ended), Responded: cut(&sig.Responded)})
	}
	return all
}

// notify sends notifications. They say what is durable already, so nobody waits until
// they are themselves.
func (p *peers) notify(ctx context.Context, notices []notice) error {
	if len(notices) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, courtesy)
	defer cancel()
	var b pgx.Batch
	b.Queue("SELECT set_config('synchronous_commit', 'off', true)")
	for _, n := range notices {
		js, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("encode a notification: %w", err)
		}
		if len(js) >= 8000 { // IDs are long here
			js, _ = json.Marshal(notice{From: p.id, All: true})
		}
		b.Queue("SELECT pg_notify($1, $2)", p.channel, string(js))
	}
	p.s.stats.notified.Add(int64(len(notices)))
	return p.s.pool.SendBatch(ctx, &b).Close()
}

// listen listens for notifications, and connects again when the connection is lost.
func (p *peers) listen(ctx context.Context) {
	troubled, once := false, false
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := p.listenOnce(ctx, func() {
			if troubled {
				p.s.opts.Logger.InfoContext(ctx, "notifications come again", "database", p.s.name)
			}
			troubled, once, pause = false, true, 100*time.Millisecond
		})
		p.deaf()
		if ctx.Err() != nil {
			return
		}
		if !troubled {
			troubled = true
			p.s.opts.Logger.WarnContext(ctx, "notifications do not come; the database is looked at instead",
				"database", p.s.name, "every", p.s.opts.Poll, "error", err)
		}
		if errors.Is(err, errDeaf) && !once {
			pause = deafPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// errDeaf is what a listener gets that does not hear itself.
var errDeaf = errors.New("a notification to itself did not come, as through a PgBouncer in transaction mode: set ListenURL to a direct connection")

// listenOnce listens until the connection is lost. It calls heard when the first
// notification has come: this process's own.
func (p *peers) listenOnce(ctx context.Context, heard func()) error {
	c, err := pgx.ConnectConfig(ctx, p.conf)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if _, err := c.Exec(ctx, "LISTEN "+pgx.Identifier{p.channel}.Sanitize()); err != nil {
		return err
	}
	if err := p.here(ctx, ""); err != nil {
		return err
	}
	alive := false // it has heard something since the last beat
	for {
		wait, cancel := context.WithTimeout(ctx, 2*beat)
		n, err := c.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case !alive && errors.Is(err, context.DeadlineExceeded):
			return errDeaf
		default:
			return err
		}
		if p.hear(ctx, n.Payload) && !alive {
			alive = true
			heard()
		}
	}
}

// hear takes in a notification. It reports whether it was this process's own.
func (p *peers) hear(ctx context.Context, payload string) bool {
	var n notice
	if err := json.Unmarshal([]byte(payload), &n); err != nil {
		n = notice{All: true} // of another version
	}
	if n.From == p.id {
		p.mu.Lock()
		first := !p.listening
		if first {
			p.listening, p.since = true, time.Now()
		}
		p.mu.Unlock()
		if first {
			p.s.watch.tell(store.Signal{All: true}) // what it has missed
		}
		return true
	}
	if n.Here {
		p.mu.Lock()
		before, known := p.seen[n.From]
		known = known && !before.gone()
		p.seen[n.From] = peer{time.Now(), n.Awaits, n.Works}
		p.mu.Unlock()
		if !known || n.Awaits && !before.awaits {
			_ = p.here(ctx, n.From)
		}
		n.All = n.All || !known || n.Knows == p.id
	}
	if sig := (store.Signal{Mail: n.Mail, Ended: n.Ended, Responded: n.Responded, All: n.All, Yield: p.yields(&n)}); n.All || len(n.Mail)+len(n.Ended)+len(n.Responded) > 0 {
		p.s.watch.tell(sig)
	}
	return false
}

// here tells the others, and itself, that this process listens, and one of them that it
// is known now.
func (p *peers) here(ctx context.Context, knows string) error {
	p.saying.Lock()
	defer p.saying.Unlock()
	p.mu.Lock()
	n := notice{From: p.id, Here: true, Awaits: p.awaits, Works: p.worksOn(), Knows: knows}
	p.mu.Unlock()
	return p.notify(ctx, []notice{n})
}

// deaf notes that notifications do not come.
func (p *peers) deaf() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listening = false
}

// poll looks at the database from time to time, in case notifications got lost, and
// says that this process is still there.
func (p *peers) poll(ctx context.Context) {
	tick := time.NewTicker(p.s.opts.Poll)
	defer tick.Stop()
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for n := 1; ; {
		select {
		case <-tick.C:
			p.lull()
			p.mu.Lock()
			due := !p.listening || n >= slower
			p.mu.Unlock()
			if n++; due {
				n = 1
				p.s.watch.tell(store.Signal{All: true})
			}
		case <-beats.C:
			p.mu.Lock()
			listening := p.listening
			p.mu.Unlock()
			if listening {
				_ = p.here(ctx, "") // a lost connection is noticed by those who need it
			}
		case <-ctx.Done():
			return
		}
	}
}
