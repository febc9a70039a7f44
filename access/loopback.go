package access

import (
	"net"
	"net/netip"
	"strings"
)

// Loopback reports whether a host, with or without a port, is this machine by an address
// or a name that nobody else can lead here. It is for addresses to listen on: that a
// request comes from one says nothing, for it may be a proxy that has sent it.
func Loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
