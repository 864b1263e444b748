local kit = require "kit"
local site = require "steerway.host.site"

describe("site", function()
  it("is the registrable domain", function()
    for host, expected in pairs {
      ["www.example.com"] = "example.com", ["example.com"] = "example.com", ["a.b.example.co.uk"] = "example.co.uk",
      ["WWW.Example.ORG."] = "example.org", ["x.y.city.kawasaki.jp"] = "city.kawasaki.jp", ["me.github.io"] = "me.github.io",
      ["a.me.github.io"] = "me.github.io", ["printer.unheardof"] = "printer.unheardof",
    } do
      assert.equal(expected, site.of(host))
    end
  end)

  it("is the host itself where there is none", function()
    for _, host in ipairs { "localhost", "co.uk", "com", "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "" } do
      assert.equal(host, site.of(host))
    end
    assert.equal("2001:db8::a", site.of "2001:DB8::A")
  end)

  it("returns other text unchanged", function()
    local long = ("a."):rep(200) .. "com"
    assert.equal(long, site.of(long))
    assert.equal("evil\0.example.com", site.of "evil\0.example.com")
    assert.truthy(kit.fails(site.of, 5):find "ctx.site: expected a host, got number")
    assert.truthy(kit.fails(site.of, nil):find "ctx.site: expected a host, got nil")
  end)

  it("answers for many hosts", function()
    for i = 1, 5000 do
      assert.equal(("example%d.com"):format(i), site.of(("www.example%d.com"):format(i)))
    end
    assert.equal("example1.com", site.of "www.example1.com")
  end)
end)
