package dashboard

import (
	"strconv"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
)

const (
	pageOfItems   = 100
	shownPayloads = 20      // of a hook, in the timeline
	shownInItem   = 1 << 10 // of a payload there, in bytes
	maxZoom       = 32
)

// chart is a timeline as it is drawn: a row for each item.
type chart struct {
	Rows  []row
	Ticks []tick
	Now   bool // it ends now
	Total int
	First int // of the rows, from 1
	Last  int
	Zoom  int
	Short bool // long gaps are shortened

	Earlier, Later, ZoomIn, ZoomOut, Other string // links; Other has the other scale
}

type row struct {
	inspect.Item
	Number  string // of steps and children: that in charge#1
	Spoken  string // said before the label, which others see an icon with
	Label   string
	Word    string // its state, in a word
	Shapes  []shape
	Took    time.Duration
	Open    bool
	Doc     *doc
	Payload []payload
	More    int    // payloads that are not among them
	ForkURL string // of the confirmation of a fork at a step
}

// shape is a bar, a gap between bars or a mark.
type shape struct {
	Class string
	X, W  float64
	Title string
}

type payload struct {
	inspect.Payload
	Doc     *doc
	Request *requestDoc
}

// newChart draws a page of a timeline. From is the first item to show, or negative for
// the last page.
func newChart(runID string, items []inspect.Item, begin, end time.Time, live, over bool, r *request) *chart {
	c := &chart{Total: len(items), Now: live, Zoom: 1}
	if z, err := strconv.Atoi(r.query.Get("zoom")); err == nil && z > 1 && z <= maxZoom && z&(z-1) == 0 {
		c.Zoom = z
	}
	lastPage := max(0, (len(items)-1)/pageOfItems*pageOfItems)
	from, err := strconv.Atoi(r.query.Get("items"))
	if err != nil || from < 0 || from > lastPage {
		from = lastPage
	}
	from -= from % pageOfItems
	page := items[from:min(from+pageOfItems, len(items))]
	c.First, c.Last = from+1, from+len(page)

	var happens []time.Time
	pageBegin, pageEnd := end, begin
	see := func(t time.Time) {
		if t.IsZero() {
			return
		}
		happens = append(happens, t)
		if t.Before(pageBegin) {
			pageBegin = t
		}
		if t.After(pageEnd) {
			pageEnd = t
		}
	}
	for i := range page {
		it := &page[i]
		see(it.Begin)
		see(it.End)
		if it.End.IsZero() {
			see(end)
		}
		for _, a := range it.Attempts {
			see(a.Begin)
			see(a.End)
		}
		for _, p := range it.Payloads {
			see(p.At)
		}
	}
	if from == 0 {
		pageBegin = begin
	}
	if from == lastPage || pageEnd.After(end) {
		pageEnd = end
	}
	s := timeScale(pageBegin, pageEnd)
	switch r.query.Get("scale") {
	case "short":
		c.Short = true
	case "time":
	default:
		c.Short = crowded(page, pageEnd.Sub(pageBegin))
	}
	if c.Short {
		s = shortScale(pageBegin, pageEnd, happens)
	}
	c.Ticks = s.ticks(6 * c.Zoom)
	for i := range page {
		c.Rows = append(c.Rows, newRow(runID, page[i], s, pageEnd, over))
	}
	c.addLinks(r, from, lastPage)
	return c
}

// crowded tells whether most bars would be too short to be seen if they were drawn to
// scale.
func crowded(items []inspect.Item, whole time.Duration) bool {
	bars, thin := 0, 0
	for _, it := range items {
		if it.End.IsZero() || it.Instant() {
			continue
		}
		bars++
		if it.End.Sub(it.Begin) < whole/100 {
			thin++
		}
	}
	return bars > 0 && 2*thin >= bars
}

func (c *chart) addLinks(r *request, from, lastPage int) {
	with := func(name, value string) string {
		q := without(r.URL.Query(), "notice")
		q.Set(name, value)
		return link("run", q) + "#timeline"
	}
	if from > 0 {
		c.Earlier = with("items", strconv.Itoa(from-pageOfItems))
	}
	if from < lastPage {
		c.Later = with("items", strconv.Itoa(from+pageOfItems))
	}
	if c.Zoom < maxZoom {
		c.ZoomIn = with("zoom", strconv.Itoa(2*c.Zoom))
	}
	if c.Zoom > 1 {
		c.ZoomOut = with("zoom", strconv.Itoa(c.Zoom/2))
	}
	c.Other = with("scale", "short")
	if c.Short {
		c.Other = with("scale", "time")
	}
}

func newRow(runID string, it inspect.Item, s *scale, now time.Time, over bool) row {
	r := row{Item: it, Label: it.Name, Word: word(&it, over), Open: isOpen(&it), Doc: jsonDoc(it.Result, shownInItem, "")}
	if it.Kind == inspect.KindStep || it.Kind == inspect.KindChild {
		if i := strings.LastIndexByte(it.Name, '#'); i > 0 {
			r.Label, r.Number = it.Name[:i], it.Name[i:]
		}
	}
	if inspect.Title(it.Kind, it.Name) != it.Name {
		r.Spoken = string(it.Kind)
	}
	end := it.End
	if end.IsZero() {
		end = now
	}
	r.Took = end.Sub(it.Begin)
	bar := func(class string, from, to time.Time, title string) {
		x := s.place(from)
		r.Shapes = append(r.Shapes, shape{class, x, s.place(to) - x, title})
	}
	switch {
	case it.Instant():
		bar("mark", it.Begin, it.Begin, it.Name)
	case it.Kind == inspect.KindStep && len(it.Attempts) > 0:
		at := it.Begin
		for i, a := range it.Attempts {
			class, title := "bar failed", "attempt "+strconv.Itoa(a.Number)+" failed: "+a.Error
			to := a.End
			switch {
			case a.End.IsZero():
				class, title, to = "bar open", "attempt "+strconv.Itoa(a.Number)+" is executing", now
			case a.Error == "":
				class, title = "bar done", "attempt "+strconv.Itoa(a.Number)+" completed"
			}
			if i > 0 && a.Begin.After(at) {
				bar("gap", at, a.Begin, "waited for the next attempt")
			}
			bar(class, a.Begin, to, title)
			at = to
		}
		if it.State == inspect.StateBackoff {
			bar("gap", at, now, "waits for the next attempt")
		}
	default:
		bar("bar "+string(it.State), it.Begin, end, r.Word)
	}
	for i, p := range it.Payloads {
		bar("payload", p.At, p.At, "payload "+strconv.Itoa(i+1))
	}
	r.More = max(0, len(it.Payloads)-shownPayloads)
	for _, p := range it.Payloads[r.More:] {
		shown := payload{Payload: p}
		if p.Position > 0 {
			at := to("event", "id", runID, "position", p.Position)
			shown.Doc, shown.Request = jsonDoc(p.Data, shownInItem, at), newRequestDoc(p.Request, shownInItem, at)
		} else {
			shown.Doc, shown.Request = jsonDoc(p.Data, shownInItem, ""), newRequestDoc(p.Request, shownInItem, "")
		}
		r.Payload = append(r.Payload, shown)
	}
	return r
}

func isOpen(it *inspect.Item) bool {
	return it.State == inspect.StateOpen || it.State == inspect.StateBackoff
}

// word says in a word or two how far an item is. over says that it is of a generation that is over.
func word(it *inspect.Item, over bool) string {
	if it.State == inspect.StateLeft && over {
		return "left at the restart"
	}
	if it.State == inspect.StateLeft {
		return "ended with the run"
	}
	switch it.Kind {
	case inspect.KindStep:
		if it.State == inspect.StateOpen && (len(it.Attempts) == 0 || !it.Attempts[len(it.Attempts)-1].End.IsZero()) {
			return "begun"
		}
		return map[inspect.State]string{
			inspect.StateOpen: "executing", inspect.StateBackoff: "will be retried", inspect.StateDone: "completed", inspect.StateFailed: "failed",
		}[it.State]
	case inspect.KindHook:
		return map[inspect.State]string{
			inspect.StateOpen: "open", inspect.StateDone: "closed", inspect.StateFailed: "token is taken",
		}[it.State]
	case inspect.KindSleep:
		return map[inspect.State]string{
			inspect.StateOpen: "sleeping", inspect.StateDone: "over", inspect.StateStopped: "not needed any more",
		}[it.State]
	case inspect.KindDeadline:
		return map[inspect.State]string{
			inspect.StateOpen: "running", inspect.StateDone: "passed", inspect.StateStopped: "not needed any more",
		}[it.State]
	case inspect.KindChild:
		return map[inspect.State]string{
			inspect.StateOpen: "running", inspect.StateDone: "completed", inspect.StateFailed: "failed",
		}[it.State]
	case inspect.KindAwait:
		return map[inspect.State]string{
			inspect.StateOpen: "awaited", inspect.StateDone: "completed", inspect.StateFailed: "failed", inspect.StateStopped: "not needed any more",
		}[it.State]
	case inspect.KindResponse:
		return map[inspect.State]string{
			inspect.StateOpen: "to be sent", inspect.StateDone: "sent", inspect.StateFailed: "answered before",
		}[it.State]
	case inspect.KindPatch:
		return "taken"
	default:
		return "from outside"
	}
}
