"""The laboratory of the end-to-end tests: a household with several uplinks, made of network namespaces.

              +- wan1 -- isp1 -+
  lan -- home +- wan2 -- isp2 -+ internet (web server, name server, whatever a test opens there)
              +- wan3 -- isp3 -+

"home" is the namespace of the test process itself, so the proxy and its clients are plain child processes.
Lines have no latency, unless the fixture "slow" puts an emulator between a provider and the internet.
Servers that only one test needs are threads of the test process, on sockets opened within "internet".
"""
