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

// Of the workers that would claim the same runs, one is elected for those of a notification, by
// rendezvous hashing: each of them comes to the same result for itself. The others leave the
// runs to it for a moment, instead of trying all at once. If the sender executes runs too, it has
// tried already.

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

// claimsDigest is a digest of what is claimed here: empty if that is nothing, or differs from
// worker to worker.
func (p *peers) claimsDigest() string {
	on := ""
	for worker, w := range p.claims {
		switch {
		case time.Now().After(w.until):
			delete(p.claims, worker)
		case on != "" && on != w.digest:
			return ""
		default:
			on = w.digest
		}
	}
	return on
}

// elected reports whether this process is the one to claim the runs of a notification, among
// those that claim the same: the one with the highest hash of its ID and the first run.
func (p *peers) elected(n *notice) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	digest := p.claimsDigest()
	if digest == "" || len(n.Mail) == 0 {
		return true
	}
	rank := func(id string) [sha256.Size]byte { return sha256.Sum256([]byte(id + " " + n.Mail[0])) }
	mine := rank(p.id)
	for id, o := range p.seen {
		if o.gone() || o.claims != digest {
			continue
		}
		if theirs := rank(id); bytes.Compare(theirs[:], mine[:]) > 0 {
			return false
		}
	}
	return true
}
