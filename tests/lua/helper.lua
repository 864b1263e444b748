-- Run by busted before the specs (.busted names it).

require "steerway.testing.busted"
