// Package deploy holds what runs the system on real servers: the compose file, the image of the services, and the
// configuration of the servers. Its tests check all of it without a container engine: that the file loads, that the
// services are given settings that exist, and that what they are told to connect to is there.
package deploy
