// Package servers gives a system of its own, that is started for a measurement and removed after it, room on a RabbitMQ
// and a PostgreSQL that others use at the same time: a namespace at the broker, and a database for each service.
//
// Everything has one name in front, such as orderflow_3k7xq2m9, so that two measurements do not meet, and that a person
// finds what a process left behind that was killed with kill -9. Nothing is left behind otherwise.
package servers
