import Testing

@Suite struct LayerTests {
    private static let manifest = Manifest.ours

    @Test func theManifestIsUnderstood() throws {
        let router = try #require(Self.manifest["RouterService"])
        #expect(router.path == "Sources/Services/RouterService")
        #expect(router.targets.contains("SessionCore"))
        #expect(router.products.contains("NIOCore"), "a product behind a constant")
        #expect(router.products.contains("Hummingbird"), "a product that is written out")
        #expect(Self.manifest["TidyTests"]?.path == "Tests/Tidy")
    }

    @Test(arguments: manifest.targets.filter { Layer(path: $0.path) != nil }.map(\.name))
    func aTargetDependsOnItsOwnLayerOrOneAbove(_ name: String) throws {
        let target = try #require(Self.manifest[name])
        let layer = try #require(Layer(path: target.path))
        for dependency in target.targets {
            let other = try #require(Self.manifest[dependency], "\(name) depends on \(dependency), which is no target")
            guard let its = Layer(path: other.path) else {
                Issue.record("\(name) depends on \(dependency), which is for tests")
                continue
            }
            #expect(its.rawValue <= layer.rawValue, "\(name) depends on \(dependency), which is in a layer below")
        }
    }

    /// They meet in the catalog and in the REST API.
    @Test func servicesDoNotKnowEachOther() {
        let services = Self.manifest.targets.filter { Layer(path: $0.path) == .services }
        for service in services {
            #expect(services.allSatisfy { !service.targets.contains($0.name) }, "\(service.name) depends on another service")
        }
    }

    /// Decisions are events in, actions out: what could do input or output, or tell the time, is not even imported. NIOCore is there for `ByteBuffer`.
    @Test func decisionsImportNothingThatActs() {
        let allowed: Set<String> = ["NIOCore", "Synchronization"]
        for (path, code) in Repository.sources where Layer(path: path) == .decisions {
            for module in code.imports where !allowed.contains(module) {
                let layer = Self.manifest[module].flatMap { Layer(path: $0.path) }
                #expect(layer == .vocabulary || layer == .decisions, "\(path) imports \(module)")
            }
        }
    }

    /// Code that no target holds is not built, and its tests do not run.
    @Test func everyFolderWithSwiftFilesIsATarget() {
        for path in Repository.paths where path.hasSuffix(".swift") && path != "Package.swift" {
            #expect(Self.manifest.targets.contains { path.hasPrefix($0.path + "/") }, "no target holds \(path)")
        }
    }
}
