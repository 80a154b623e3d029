# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of vncauthproxy, the VNC authenticating proxy, for Python 3.9 and newer.

vncauthproxy.client      request_forwarding() of snf-vncauthproxy, for Synnefo and programs of one's own
vncauthproxy.vapclient   request_forwarding() and request_ssh() of Ganeti Web Manager
vncauthproxy.d3des       generate_response(), what a VNC viewer answers to a challenge
"""
