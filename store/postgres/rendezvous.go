package postgres

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// A notification of mail reaches all workers. Those that claim the same runs have an order for
// its runs, by rendezvous hashing: each of them comes to the same result for itself. The first one
// claims the runs, at once; the next one looks after a moment whether it has. A worker that was
// late, since it is full, stopping, frozen or dead, is left out by all until it claims
// something again.

// claims is what a worker of this process claims.
type claims struct {
	digest string // of its workflows and versions
	until  time.Time
}

// claim notes what a worker here claims, and for how long. The others are told when that is
// news.
func (p *peers) claim(l store.Lease) {
	defs := slices.Clone(l.Definitions)
	slices.SortFunc(defs, func(a, b store.Definition) int {
		return cmp.Or(cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Version, b.Version))
	})
	sum := sha256.Sum256(fmt.Append(nil, defs))
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.claimsDigest()
	p.claims[l.Worker] = claims{hex.EncodeToString(sum[:8]), time.Now().Add(l.For)}
	p.announceClaims(before)
}

// claimNothing notes that a worker here no longer claims runs.
func (p *peers) claimNothing(worker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.claimsDigest()
	delete(p.claims, worker)
	p.announceClaims(before)
}

// announceClaims tells the others what is claimed here, if that is not what it was before.
func (p *peers) announceClaims(before string) {
	if p.claimsDigest() != before {
		p.unannounced = true
		p.wakeSender()
	}
}

// unclear is the digest of a process whose workers do not all claim the same.
const unclear = "unclear"

// claimsDigest is a digest of what is claimed here: empty if that is nothing.
func (p *peers) claimsDigest() string {
	on := ""
	for worker, w := range p.claims {
		switch {
		case time.Now().After(w.until):
			delete(p.claims, worker)
		case on != "" && on != w.digest:
			on = unclear
		default:
			on = w.digest
		}
	}
	return on
}

// turn is the place of this process in the order of the workers for some runs.
type turn struct {
	mail   []string
	before int    // so many processes come first
	first  string // of those, the very first
	mixed  bool   // there are processes that claim other runs
}

// turns returns the places of this process for the mail of a notification. Sticky runs have one each,
// always the same: the worker that comes first is likely to have the run in its cache. The others
// have one together: many that go to the same worker share its transactions.
func (p *peers) turns(n *notice) (all []turn) {
	if len(n.Mail) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	digest := p.claimsDigest()
	if digest == "" {
		return []turn{{mail: n.Mail}}
	}
	add := func(mail []string, orderedBy string) {
		t := p.turn(n.From, orderedBy, digest)
		if t.before == 1 {
			p.leave(mail, t.first)
		}
		for i := range all {
			if all[i].before == t.before {
				all[i].mail = append(all[i].mail, mail...)
				return
			}
		}
		t.mail = slices.Clip(mail)
		all = append(all, t)
	}
	for i := range n.Mail[:n.Sticky] {
		add(n.Mail[i:i+1], n.Mail[i])
	}
	if rest := n.Mail[n.Sticky:]; len(rest) > 0 {
		add(rest, cmp.Or(n.Turn, rest[0]))
	}
	return all
}

// turn returns the place of this process, which claims what the digest says, for mail from a
// process.
func (p *peers) turn(from, orderedBy, digest string) (t turn) {
	t.mixed = digest == unclear
	rank := func(id string) []byte {
		if id == from { // it has tried already
			return bytes.Repeat([]byte{0xff}, sha256.Size+1)
		}
		sum := sha256.Sum256([]byte(id + " " + orderedBy))
		return sum[:]
	}
	mine := rank(p.id)
	var highest []byte
	for id, o := range p.seen {
		switch {
		case o.gone() || o.late || o.claims == "":
		case o.claims != digest || digest == unclear:
			t.mixed = true
		default:
			theirs := rank(id)
			if !p.late && bytes.Compare(theirs, mine) < 0 {
				continue
			}
			t.before++
			if bytes.Compare(theirs, highest) > 0 {
				t.first, highest = id, theirs
			}
		}
	}
	return t
}

// sending chooses which worker gets the runs that this process names.
type sending struct {
	turn  string // orders the workers
	runs  int    // of this turn
	since time.Time

	named   map[string]bool // runs that were named lately
	before  map[string]bool // and those named in the time before that
	rotated time.Time
}

// maxNamed and namedTime bound the runs that are remembered to have been named, twice.
const (
	maxNamed  = 10_000
	namedTime = time.Minute
)

// again reports whether a run was named lately: then it is likely to be named more often, and
// sticks to a worker.
func (s *sending) again(run string) bool {
	if s.named == nil || len(s.named) >= maxNamed || time.Since(s.rotated) >= namedTime {
		s.named, s.before, s.rotated = make(map[string]bool), s.named, time.Now()
	}
	again := s.named[run] || s.before[run]
	s.named[run] = true
	return again
}

// next prepares to name a run. It reports whether a turn begins with it.
func (s *sending) next(run string) bool {
	if s.runs++; s.turn != "" && s.runs <= maxTurn && time.Since(s.since) < turnTime {
		return false
	}
	s.turn, s.runs, s.since = run, 1, time.Now()
	return true
}

// maxLeft bounds the runs that are remembered to be left to others.
const maxLeft = 4096

// leave notes that runs are left to another process.
func (p *peers) leave(runs []string, to string) {
	if len(p.left) > maxLeft {
		clear(p.left)
	}
	for _, id := range runs {
		p.left[id] = to
	}
}

// claimed notes that a claim has named runs and got some of them. If these had been left to
// another process, it was late.
func (p *peers) claimed(named []string, got []store.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claimsAgain()
	for i := range got {
		id := p.left[got[i].ID]
		if o, ok := p.seen[id]; ok && !o.late {
			o.late = true
			p.seen[id] = o
			p.lateOnes = append(p.lateOnes, id)
			p.wakeSender()
		}
	}
	for _, id := range named {
		delete(p.left, id)
	}
}

// claimedOne notes that a transition has claimed its run.
func (p *peers) claimedOne() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claimsAgain()
}

// claimsAgain notes that runs are claimed here. If this process was late, the others are told
// that it no longer is.
func (p *peers) claimsAgain() {
	if p.late {
		p.late, p.unannounced = false, true
		p.wakeSender()
	}
}

// isLate notes which processes were late.
func (p *peers) isLate(ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if id == p.id {
			p.late = true
		} else if o, ok := p.seen[id]; ok {
			o.late = true
			p.seen[id] = o
		}
	}
}
