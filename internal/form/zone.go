package form

import (
	_ "embed"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a form has the same zones wherever it runs
)

//go:embed zones.txt
var zoneNames string

// zones are the names of time zones to choose from.
var zones = strings.Fields(zoneNames)

// setZone sets the zone that times of the form are in: what was sent, or that of a new form.
func (f *Form) setZone(sent, begin string) {
	f.Zone, f.clock = "UTC", time.UTC
	for _, name := range []string{sent, begin} {
		if loc, ok := location(name); ok {
			f.Zone, f.clock, f.Guess = name, loc, false
			return
		}
	}
	f.Guess = true
}

// offerZones lists the zones to choose from, if there are times.
func (f *Form) offerZones(fresh bool) {
	if f.Root == nil || f.JSON {
		return
	}
	empty := true
	for c := range f.Root.leaves() {
		if c.Schema.Format == "date-time" {
			f.Times = true
			empty = empty && c.Value == ""
			for _, zone := range offsets(c.Value, f.clock) {
				if !slices.Contains(f.Zones, zone) {
					f.Zones = append(f.Zones, zone)
				}
			}
		}
	}
	f.Guess = f.Guess && f.Times && fresh && empty
	if !f.Times {
		return
	}
	f.Zones = append(f.Zones, zones...)
	if !slices.Contains(f.Zones, f.Zone) {
		f.Zones = append([]string{f.Zone}, f.Zones...)
	}
}

// location finds a zone: a name, or an offset such as +02:00.
func location(name string) (*time.Location, bool) {
	if name == "" || name == "Local" {
		return nil, false
	}
	if t, err := time.Parse("-07:00", name); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(name, offset), true
	}
	loc, err := time.LoadLocation(name)
	return loc, err == nil
}

// localLayouts are how browsers write times of their calendars, and people where there is none.
var localLayouts = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"}

// readTime reads a time of a zone with a name. It returns the time as RFC 3339 has it, or why it is none.
func readTime(text, zone string, loc *time.Location) (written, why string) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Format(time.RFC3339Nano), ""
	}
	local, ok := parseLocal(text)
	if !ok {
		return "", "it has to be a date and a time, such as 2026-03-01 14:30"
	}
	switch all := instants(local, loc); len(all) {
	case 0:
		return "", "there is no such time in " + zone + ": the clocks go forward then"
	case 1:
		t := all[0]
		if _, seconds := t.Zone(); seconds%60 != 0 { // of the sun, before there were zones
			t = t.UTC()
		}
		return t.Format(time.RFC3339Nano), ""
	default:
		return "", "it is this time twice in " + zone + ", because the clocks go back then: choose " + offset(all[0]) + " or " + offset(all[1]) + " as the time zone"
	}
}

func parseLocal(text string) (time.Time, bool) {
	for _, layout := range localLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// instants are the times at which clocks of a zone show a local time: none or two when the clocks
// are changed.
func instants(local time.Time, loc *time.Location) []time.Time {
	var all []time.Time
	for _, around := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, seconds := local.Add(around).In(loc).Zone()
		t := local.Add(-time.Duration(seconds) * time.Second).In(loc)
		if _, is := t.Zone(); is == seconds && (len(all) == 0 || !all[0].Equal(t)) {
			all = append(all, t)
		}
	}
	return all
}

// offsets are the zones that tell two times apart which clocks show alike.
func offsets(text string, loc *time.Location) []string {
	local, ok := parseLocal(text)
	if !ok {
		return nil
	}
	if all := instants(local, loc); len(all) > 1 {
		return []string{offset(all[0]), offset(all[1])}
	}
	return nil
}

func offset(t time.Time) string { return t.Format("-07:00") }

// localTime is what a calendar shows for a time in a zone. It is not ok if it can't show all of it.
func localTime(text string, loc *time.Location) (string, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Nanosecond()%int(time.Millisecond) != 0 || t.Year() < 1 {
		return "", false
	}
	t = t.In(loc)
	switch {
	case t.Nanosecond() > 0:
		return t.Format("2006-01-02T15:04:05.000"), true
	case t.Second() > 0:
		return t.Format("2006-01-02T15:04:05"), true
	}
	return t.Format("2006-01-02T15:04"), true
}

// withSeconds adds the seconds that browsers leave out.
func withSeconds(v string) string {
	v = strings.Replace(v, " ", "T", 1)
	if strings.Count(v, ":") == 1 {
		v += ":00"
	}
	return v
}
