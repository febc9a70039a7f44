package dashboard_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/internal/browsertest"
	"github.com/tenter-dev/tenter/workflow"
)

// trip has a field of each kind.
type trip struct {
	Approved bool               `json:"approved" title:"May she go?"`
	Leaves   time.Time          `json:"leaves" jsonschema:"When the train leaves."`
	Back     string             `json:"back" format:"date" title:"Back on"`
	Class    string             `json:"class" enum:"first,second"`
	Seats    int                `json:"seats" minimum:"1" maximum:"9" default:"1"`
	Contact  string             `json:"contact" format:"email"`
	Plan     string             `json:"plan,omitempty" format:"uri"`
	Budget   map[string]float64 `json:"budget,omitempty" minimum:"0" jsonschema:"In euros, by what it is for."`
	Legs     [][]string         `json:"legs,omitempty" jsonschema:"The stations of each train."`
	Report   string             `json:"report,omitempty" contentMediaType:"text/plain"`
	Ticket   *workflow.File     `json:"ticket,omitempty" contentMediaType:"application/pdf,image/*"`
}

var trips = workflow.DefineHook[trip]("trip")

var travel = workflow.Define("travel", func(ctx workflow.Context, token string) (trip, error) {
	hook, err := trips.New(ctx, workflow.Token(token), workflow.Metadata(map[string]any{
		"traveler": "Grace <b>Hopper</b>", "project": map[string]any{"name": "COBOL", "year": 1959}, "cities": []string{"Lyon", "Paris"},
		"request": "https://intranet.example/trips/7?from=Lyon", "trap": "javascript:alert(1)", "plain": "http://example.com/",
	}))
	if err != nil {
		return trip{}, err
	}
	return hook.Wait(ctx)
})

var shots = flag.String("shots", "", "write what TestForm sees to this `directory`")

// A person fills in dates, choices, maps and lists in lists, with JavaScript and without.
func TestForm(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script bool
		width  int64
	}{
		"desktop": {true, 1280},
		"phone":   {true, 390},
		"plain":   {false, 1280},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dashboard.Options{})
			run := start(w, travel, "trip-1", workflow.RunID("trip-1"))
			opened(w, run)
			b := browsertest.New(t)
			b.Size(tt.width, 900)
			browsertest.Call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Paris"})
			b.Scripts(tt.script)
			set := func(name, value string) chromedp.Action[chromedp.Void] {
				return chromedp.SetValue(chromedp.CSS(`[name="`+name+`"]`), value)
			}
			press := func(name, value string) chromedp.Action[chromedp.Void] {
				return chromedp.Click(chromedp.CSS(`[name="` + name + `"][value="` + value + `"]`))
			}
			there := func(name string) chromedp.Action[chromedp.Void] {
				return chromedp.WaitVisible(chromedp.CSS(`[name="` + name + `"]`))
			}
			b.Do(chromedp.Navigate(w.url+"hook?run=trip-1&id=trip-1.h1"), there("f/leaves"))
			if tt.script {
				b.Accessible("the form of a trip")
				if zone := browsertest.Get(b, chromedp.Value(chromedp.CSS(`[name="_zone"]`))); zone != "Europe/Paris" {
					t.Errorf("times are in %s, the browser in Europe/Paris", zone)
				}
				for name, kind := range map[string]string{"f/leaves": "datetime-local", "f/back": "date", "f/contact": "email", "f/plan": "url", "f/class": "radio", "f/report": "textarea"} {
					if got := browsertest.Get(b, chromedp.Evaluate[string](`document.querySelector('[name="`+name+`"]').type`)); got != kind {
						t.Errorf("%s is a %s, want %s", name, got, kind)
					}
				}
			}
			b.Shot(*shots, name+"-new")

			// What it says of the hook is text, save for links of https.
			if tt.script {
				facts := browsertest.Get(b, chromedp.Evaluate[string](`[...document.querySelectorAll(".given a")].map(a => a.href + " " + a.rel).join("; ") + " | " + document.querySelector(".given").innerText`))
				if !strings.HasPrefix(facts, "https://intranet.example/trips/7?from=Lyon noopener noreferrer nofollow | ") {
					t.Errorf("links are %s", facts)
				}
				for _, want := range []string{"Grace <b>Hopper</b>", "javascript:alert(1)", "at intranet.example", "1959", "Lyon"} {
					if !strings.Contains(facts, want) {
						t.Errorf("%q is missing in %s", want, facts)
					}
				}
			}

			// What is wrong is said at the fields, and above with links to them; nothing is lost.
			ticket := filepath.Join(t.TempDir(), "ticket.pdf")
			if err := os.WriteFile(ticket, []byte("%PDF-1.7"), 0o600); err != nil {
				t.Fatal(err)
			}
			b.Do(
				chromedp.SetUploadFiles(chromedp.CSS(`[type="file"]`), []string{ticket}),
				press("_add", "f/budget"), there("f/budget/0@"),
				set("f/budget/0@", "train"), set("f/budget/0", "-1"),
				press("_add", "f/legs"), chromedp.WaitVisible(chromedp.CSS(`[name="_add"][value="f/legs/0"]`)),
				press("_add", "f/legs/0"), there("f/legs/0/0"),
				set("f/legs/0/0", "Lyon"),
				press("_add", "f/legs/0"), there("f/legs/0/1"),
				set("f/legs/0/1", "Paris"),
				set("f/leaves", "2026-03-29T02:30"), set("f/back", "2026-04-01"), set("_zone", "Europe/Berlin"),
				set("f/seats", "12"), set("f/contact", "grace@example.com"),
				press("f/approved", "true"), chromedp.Click(chromedp.CSS(`[name="f/class"][value='"second"']`)),
				chromedp.Click(chromedp.CSS(`#form .primary`)),
				chromedp.WaitVisible(chromedp.CSS(`#form [role=alert] li:nth-child(3)`)),
			)
			summary := browsertest.Get(b, chromedp.Text(chromedp.CSS(`#form [role=alert]`)))
			for _, want := range []string{
				"3 answers are not right yet", "Leaves: There is no such time in Europe/Berlin: the clocks go forward then.", "Seats: It has to be at most 9.", "Budget train: It has to be at least 0.",
			} {
				if !strings.Contains(summary, want) {
					t.Errorf("%q is missing in %s", want, summary)
				}
			}
			b.Shot(*shots, name+"-wrong")
			if tt.script {
				b.Accessible("the form of a trip with errors")
				if at := browsertest.Get(b, chromedp.Evaluate[string](`document.activeElement.name`)); at != "f/leaves" {
					t.Errorf("the focus is at %q", at)
				}
			}
			_ = b.Problems() // the console notes the 422
			b.Do(
				chromedp.Click(chromedp.CSS(`#form [role=alert] li:nth-child(2) a`)),
				set("f/leaves", "2026-03-29T03:30"), set("f/seats", "2"), set("f/budget/0", "80.5"),
			)
			if got := payloads(w, run.ID()); len(got) > 0 {
				t.Fatalf("a payload that is refused was sent: %s", got)
			}
			// Enter sends the form, whichever other buttons come before that one.
			b.Do(chromedp.SendKeys(chromedp.CSS(`[name="f/contact"]`), "\r"), chromedp.WaitVisible(chromedp.CSS(".notice")))
			want := `{"approved":true,"leaves":"2026-03-29T03:30:00+02:00","back":"2026-04-01","class":"second","seats":2,"contact":"grace@example.com","budget":{"train":80.5},"legs":[["Lyon","Paris"]],"ticket":{"name":"ticket.pdf","contentType":"application/pdf","data":"JVBERi0xLjc="}}`
			if got := payloads(w, run.ID()); len(got) != 1 || !same(got[0], want) {
				t.Errorf("the run got %s, want %s", got, want)
			}
			b.Clean("a form")
		})
	}
}
