// Package rabbitmqtest gives a test a place of its own on a RabbitMQ that others
// use at the same time, and leaves nothing there. A broker has room for a few
// hundred queues only (see package rabbitmq), so what tests forget adds up until
// it stops answering.
package rabbitmqtest
