"""The sandbox: a local twin of Twilio, and a phone in the browser to write with. Only where SANDBOX is on.

The twin is a process of its own (`manage.py twilio_twin`) with a journal of its own. The product reaches it exactly
as it reaches Twilio, by HTTP and signatures, and nothing outside this package knows that it exists.
"""
