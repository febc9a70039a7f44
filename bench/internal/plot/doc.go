// Package plot draws what was measured, as SVG that reads well on white and on black.
package plot
