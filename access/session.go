package access

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// SessionFor is how long a session lasts.
const SessionFor = 12 * time.Hour

// maxSessions is how many sessions an API key can have at a time.
const maxSessions = 1000

// sessions are those that have not ended, by the hash of what their owners have. They are
// in the memory of the process, and nowhere else: a session that another process knew, or
// that anybody could compute, would go on there after its end.
type sessions struct {
	mu   sync.Mutex
	live map[sessionKey]session
}

type sessionKey [sha256.Size]byte

type session struct {
	key   *APIKey
	until time.Time
}

// SignIn makes a session of an API key, for the cookie of a browser: it does not tell the
// key, and ends by [Guard.SignOut], after [SessionFor], or with the process. An API key has
// at most 1,000 of them: then the oldest one ends. It fails with [ErrWrongAPIKey].
func (g *Guard) SignIn(secret string, now time.Time) (string, error) {
	t := g.find(secret)
	if t == nil {
		return "", ErrWrongAPIKey
	}
	id := rand.Text()
	s := &g.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(t, now)
	if s.live == nil {
		s.live = map[sessionKey]session{}
	}
	s.live[sha256.Sum256([]byte(id))] = session{t, now.Add(SessionFor)}
	return id, nil
}

// makeRoom forgets sessions that have ended, and the oldest of an API key that has too many.
func (s *sessions) makeRoom(t *APIKey, now time.Time) {
	maps.DeleteFunc(s.live, func(_ sessionKey, x session) bool { return !now.Before(x.until) })
	var same []sessionKey
	for key, x := range s.live {
		if x.key == t {
			same = append(same, key)
		}
	}
	if len(same) >= maxSessions {
		delete(s.live, slices.MinFunc(same, func(a, b sessionKey) int { return s.live[a].until.Compare(s.live[b].until) }))
	}
}

// Session says who sends a request with a session, and what that may do: nothing, which is [None], if
// the session has ended or was never made here.
func (g *Guard) Session(r *http.Request, id string, now time.Time) Caller {
	g.sessions.mu.Lock()
	x, ok := g.sessions.live[sha256.Sum256([]byte(id))]
	g.sessions.mu.Unlock()
	if !ok || !now.Before(x.until) {
		return Caller{}
	}
	c, err := g.named(r, x.key, x.key.Scope)
	if err != nil {
		return Caller{}
	}
	return c
}

// SignOut ends a session.
func (g *Guard) SignOut(id string) {
	g.sessions.mu.Lock()
	defer g.sessions.mu.Unlock()
	delete(g.sessions.live, sha256.Sum256([]byte(id)))
}

// SignOutEverywhere ends a session, and all others of the same key.
func (g *Guard) SignOutEverywhere(id string) {
	s := &g.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	if mine, ok := s.live[sha256.Sum256([]byte(id))]; ok {
		maps.DeleteFunc(s.live, func(_ sessionKey, x session) bool { return x.key == mine.key })
	}
}
