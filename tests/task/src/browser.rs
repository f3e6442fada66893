//! The page of the reports in a real browser: what a person would see at once, and no other test does.

use crate::docs::PAGE;
use crate::paths;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The width of a small phone, in pixels of CSS.
const PHONE: u32 = 360;

/// Looks at the page on a phone, on a desk in light and in dark, and on paper. The pictures stay in `target/page/`.
pub(crate) fn look() -> Result<()> {
    let root = paths::root()?;
    let dir = root.join("target/page");
    fs::create_dir_all(&dir).context("target/page")?;
    let browser = Browser { profile: dir.join("profile") };
    let page = dir.join("page.html");
    fs::copy(root.join(PAGE), &page).context(PAGE)?;
    // A page that is too wide is found to be so, or nothing is known of the other.
    let wide = dir.join("wide.html");
    fs::write(&wide, "<!DOCTYPE html><div style='width:2000px'>x</div>")?;
    if browser.width(&dir, &wide)? <= PHONE {
        bail!("the browser does not tell a page that is too wide");
    }
    let width = browser.width(&dir, &page)?;
    if width > PHONE {
        bail!("{PAGE} is {width} pixels wide on a phone with {PHONE}");
    }
    let light =
        browser.picture(&page, &dir.join("light.png"), &["--blink-settings=preferredColorScheme=1"])?;
    let dark = browser.picture(&page, &dir.join("dark.png"), &["--blink-settings=preferredColorScheme=0"])?;
    if light == dark {
        bail!("{PAGE} looks the same in light and in dark");
    }
    let blank = dir.join("blank.html");
    fs::write(&blank, "<!DOCTYPE html>")?;
    let empty = browser.picture(&blank, &dir.join("blank.png"), &[])?;
    // A picture of nothing compresses to next to nothing.
    if light.len() < 4 * empty.len() {
        bail!("the picture of {PAGE} is as good as empty: {} bytes", light.len());
    }
    let paper = dir.join("page.pdf");
    browser.run(&page, &["--no-pdf-header-footer", &format!("--print-to-pdf={}", paper.display())])?;
    if !fs::read(&paper).context("page.pdf")?.starts_with(b"%PDF-") {
        bail!("{PAGE} cannot be printed");
    }
    println!("{PAGE}: {width} pixels wide on a phone with {PHONE}; pictures in {}", dir.display());
    Ok(())
}

struct Browser {
    profile: PathBuf,
}

impl Browser {
    fn run(&self, page: &Path, args: &[&str]) -> Result<String> {
        let limit = Duration::from_secs(300).as_secs().to_string();
        let output = Command::new("timeout")
            .args(["-k", "5", &limit, "chromium", "--headless", "--disable-gpu", "--hide-scrollbars"])
            // The sandbox of the browser needs namespaces that root in a container does not have; the page is ours.
            .args(["--no-sandbox", "--allow-file-access-from-files"])
            .arg(format!("--user-data-dir={}", self.profile.display()))
            .args(args)
            .arg(format!("file://{}", page.display()))
            .output()
            .context("cannot start chromium")?;
        if !output.status.success() {
            bail!("chromium: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// How wide the content of a page is on a phone.
    fn width(&self, dir: &Path, page: &Path) -> Result<u32> {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        let frame = dir.join("frame.html");
        let text = format!(
            "<!DOCTYPE html><iframe id=f src=\"{name}\" style=\"width:{PHONE}px;height:800px;border:0\"></iframe>\
             <pre id=o></pre><script>f.onload=()=>{{o.textContent='width='+f.contentDocument.documentElement.scrollWidth+'.'}}</script>"
        );
        fs::write(&frame, text)?;
        let dom = self.run(&frame, &["--virtual-time-budget=5000", "--dump-dom"])?;
        let found = dom.split("<pre id=\"o\">width=").nth(1).and_then(|rest| rest.split('.').next());
        found.and_then(|width| width.parse().ok()).with_context(|| format!("no width in {dom}"))
    }

    fn picture(&self, page: &Path, into: &Path, more: &[&str]) -> Result<Vec<u8>> {
        let shot = format!("--screenshot={}", into.display());
        self.run(page, &[&["--window-size=1280,1000", &shot], more].concat())?;
        fs::read(into).with_context(|| into.display().to_string())
    }
}
