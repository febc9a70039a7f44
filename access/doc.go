// Package access decides who may look at runs over HTTP, and who may change something.
// The API of package server and the dashboard share it: [Policy] is the part of their
// options that says so.
//
// Where a request comes from proves nothing: a proxy on the same machine makes all the
// world look local. So without a policy an API key is needed too: the process makes one when
// it starts, and its log has it.
//
// The package knows neither runs nor engines: it takes a request and says what its sender
// may.
package access
