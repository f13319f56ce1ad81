// Package docs holds the pages about the system. Its tests hold them against the code: files and tests that a page names
// exist, and so do the make targets.
package docs
