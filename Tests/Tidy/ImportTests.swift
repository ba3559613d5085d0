import Testing

@Suite struct ImportTests {
    /// Of the toolchain and the system.
    private static let system: Set<String> = ["Foundation", "FoundationEssentials", "Dispatch", "Synchronization", "Testing", "Glibc", "Musl", "Darwin"]

    /// SwiftPM lets a target import whatever happens to be built before it, until one day it is not.
    @Test(arguments: Manifest.ours.targets.map(\.name)) func everyImportIsDeclared(_ name: String) throws {
        let target = try #require(Manifest.ours[name])
        let declared = Set(target.targets + target.products).union(Self.system)
        for (path, code) in Repository.swiftFiles where path.hasPrefix(target.path + "/") {
            for module in code.imports where !declared.contains(module) {
                Issue.record("\(path) imports \(module), which \(name) does not declare")
            }
        }
    }

    @Test func importsAreRecognized() {
        let code = SwiftCode("""
            import A
            @testable import B
            package import struct C.Part
            #if canImport(D)
            internal import D
            #endif
            // import E
            let text = "import F"
            """)
        #expect(code.imports == ["A", "B", "C", "D"])
    }
}

extension SwiftCode {
    /// The modules that the file imports, in order.
    var imports: [String] {
        code.lines(containing: "import ").compactMap { number in
            code.line(number).prefixMatch(of: /\s*(?:(?:@\w+|public|package|internal|private|fileprivate)\s+)*import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)/)
                .map { String($0.1) }
        }
    }
}
