import Testing

@Suite struct ShellPageTests {
    @Test func blocksAndTheirOutputsAreTakenFromAPage() {
        let page = ShellPage(
            """
            text
            ```sh
            echo a
            ```

            ```
            a
            ```
            ```yaml
            b: c
            ```
            ```sh as root
            rm x
            ```
            ```sh
            echo 5433
            ```
            text between

            ```
            no output
            ```
            """) { $0.replacing("5433", with: "77") }
        #expect(page.blocks.map(\.commands) == ["echo a", "echo 77"] && page.leftOut == 1)
        #expect(page.blocks.map(\.output) == ["a", nil] && page.blocks.map(\.line) == [3, 16])
        #expect(page.outputs(in: "@@ block 0 @@\na\n@@ block 1 @@\n7") == ["a\n", "7"])
        #expect(page.outputs(in: "@@ block 0 @@\nerror") == ["error"])
    }

    @Test(arguments: [("a\nb\n", "a\nb"), ("\na  \nb", "a\nb"), ("a 17 b", "a … b"), ("x\ny\nz", "…\nz"), ("x\ny\nz", "x…"), ("a b c d", "a…c…"), ("", "")])
    func anOutputIsAsShown(output: String, shown: String) { #expect(ShellPage.matches(output, shown)) }

    @Test(arguments: [("a", "b"), ("a\nb", "a"), ("a", "a\nb"), ("a 17 c", "a … b"), ("b a", "a…"), ("a b", "a…c…"), ("a", ""), ("", "a")])
    func anOutputIsNotAsShown(output: String, shown: String) { #expect(!ShellPage.matches(output, shown)) }
}
