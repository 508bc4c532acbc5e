"""The engine: events in, actions out, and no `await` anywhere.

`engine.Engine` takes what happens (orders, records made durable, replies, time) through its `on_…`
methods and acts through the small ports of `hlrd.ports`. Every race is an order of calls, so each
can be written down, and a seed can drive the whole of it.
"""
