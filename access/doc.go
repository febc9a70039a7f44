// Package access decides who may look at runs over HTTP, and who may change something.
// The API of package server and the dashboard share it: [Policy] is the part of their
// options that says so.
//
// It knows neither runs nor engines: it takes a request and says what its sender may.
package access
