// Package browsertest lets tests look at pages with Chromium. All tests of a process share one
// browser; each has a [Tab] with cookies of its own, which notes what goes wrong in it.
package browsertest
