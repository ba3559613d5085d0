import Testing

@Suite struct PageTests {
    @Test func everyRelativeLinkLeadsSomewhere() {
        #expect(Markdown.all.count > 10)
        for page in Markdown.all {
            for link in page.links where !link.contains("://") && !link.hasPrefix("mailto:") {
                let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let target = parts[0].isEmpty ? page.path : Self.path(parts[0], from: page.path)
                #expect(Repository.exists(target), "\(page.path) links to \(link)")
                guard parts.count == 2, target.hasSuffix(".md"), let text = Repository.text(target) else { continue }
                #expect(Markdown(target, text).anchors.contains(parts[1]), "\(page.path) links to \(link): no such heading")
            }
        }
    }

    @Test func everyFileThatAPageNamesExists() {
        for page in Markdown.all {
            for path in page.namedPaths { #expect(Repository.exists(path), "\(page.path) names \(path)") }
        }
    }

    private static func path(_ link: String, from page: String) -> String {
        var parts = page.split(separator: "/").dropLast()
        for part in link.split(separator: "/") where part != "." {
            if part == ".." { parts = parts.dropLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }

    // MARK: docs/architecture.md

    private static func architecture() throws -> Markdown {
        Markdown("docs/architecture.md", try #require(Repository.text("docs/architecture.md")))
    }

    /// Name, layer and dependencies of every target below `Sources/`.
    @Test func theTableOfTargetsIsThatOfTheManifest() throws {
        let rows = try Self.architecture().table("targets")
        var documented: [String: String] = [:]
        for row in rows where row.count >= 3 { documented[Self.names(row[0]).first ?? ""] = Self.entry(row[1], Self.names(row[2])) }
        var declared: [String: String] = [:]
        for target in Manifest.ours.targets {
            guard let layer = Layer(path: target.path) else { continue }
            declared[target.name] = Self.entry("\(layer)", target.targets)
        }
        for (name, entry) in declared { #expect(documented[name] == entry, "\(name) in docs/architecture.md") }
        #expect(Set(documented.keys).subtracting(declared.keys).sorted() == [], "in docs/architecture.md only")
    }

    /// Targets that are neither the program's nor tests: support of the tests, benchmarks, the fuzzer.
    @Test func theTableOfSupportIsThatOfTheManifest() throws {
        let rows = try Self.architecture().table("support")
        let documented = Set(rows.compactMap { $0.first.flatMap { Self.names($0).first } })
        let declared = Manifest.ours.targets.filter { Layer(path: $0.path) == nil && !$0.name.hasSuffix("Tests") }.map(\.name)
        #expect(documented.symmetricDifference(declared).sorted() == [], "in one of docs/architecture.md and Package.swift")
    }

    private static func names(_ cell: String) -> [String] { cell.matches(of: /`([^`]*)`/).map { String($0.1) } }
    private static func entry(_ layer: String, _ dependencies: [String]) -> String { "\(layer): \(Set(dependencies).sorted().joined(separator: " "))" }
}
