package schema

import (
	"maps"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// format is a form that a text may have to have.
type format struct {
	what string // it is
	fits func(string) bool
}

// formats are those that are checked. Others are for the reader.
var formats = map[string]*format{
	"date-time":       {"a date and time with a zone, such as 2026-03-01T14:30:00Z", isTime(time.RFC3339)},
	"date":            {"a date, such as 2026-03-01", isTime(time.DateOnly)},
	"time":            {"a time of day with a zone, such as 14:30:00Z", isTime("15:04:05Z07:00")},
	"date-time-local": {"a date and time, such as 2026-03-01T14:30:00", isTime("2006-01-02T15:04:05")},
	"time-local":      {"a time of day, such as 14:30:00", isTime("15:04:05")},
	"email":           {"an email address, such as ada@example.com", isEmail},
	"uri":             {"a link, such as https://example.com/page", isURI},
	"url":             {"a link, such as https://example.com/page", isURI},
	"uuid":            {"a UUID, such as 123e4567-e89b-12d3-a456-426614174000", regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`).MatchString},
	"hostname":        {"the name of a host, such as www.example.com", isHost},
	"ipv4":            {"an IP address, such as 192.0.2.1", func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() }},
	"ipv6":            {"an IP address, such as 2001:db8::1", func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" }},
}

func formatNames() []string { return slices.Sorted(maps.Keys(formats)) }

func isTime(layout string) func(string) bool {
	return func(s string) bool {
		_, err := time.Parse(layout, s)
		return err == nil
	}
}

// isEmail takes an address without a name, as inputs of browsers do.
func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s && !strings.ContainsAny(s, " \"<>")
}

func isURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && (u.Host != "" || u.Opaque != "") && !strings.ContainsAny(s, " <>\"")
}

var hosts = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)

func isHost(s string) bool { return len(s) <= 253 && hosts.MatchString(s) }
