//! The web page: a few files in the binary.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::api::{read, resource};
use crate::site::{self, CSS, File, HTML, JAVASCRIPT, SVG};

macro_rules! file {
    ($path:literal, $kind:ident) => {
        File { path: concat!("/", $path), kind: $kind, text: include_str!(concat!("../page/", $path)) }
    };
}

/// All files of the page but its document.
const FILES: &[File] = &[
    file!("icon.svg", SVG),
    file!("style.css", CSS),
    file!("main.js", JAVASCRIPT),
    file!("api.js", JAVASCRIPT),
    file!("dom.js", JAVASCRIPT),
    file!("format.js", JAVASCRIPT),
    file!("pages.js", JAVASCRIPT),
    file!("rows.js", JAVASCRIPT),
    file!("traces.js", JAVASCRIPT),
    file!("trace.js", JAVASCRIPT),
    file!("tree.js", JAVASCRIPT),
    file!("span.js", JAVASCRIPT),
    file!("logs.js", JAVASCRIPT),
    file!("metrics.js", JAVASCRIPT),
    file!("plot.js", JAVASCRIPT),
    file!("graph.js", JAVASCRIPT),
    file!("held.js", JAVASCRIPT),
    file!("theme.js", JAVASCRIPT),
    file!("vendor/uplot/uPlot.esm.js", JAVASCRIPT),
    file!("vendor/uplot/uPlot.min.css", CSS),
];

const DOCUMENT: File = File { path: "/", kind: HTML, text: include_str!("../page/index.html") };

/// A file of the viewer's page, such as `/dom.js`, for other pages of the house to be made with.
pub fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    for file in FILES.iter().chain([&DOCUMENT]) {
        config.service(resource(file.path, read().to(move |request| answer(request, file))));
    }
    // A trace's address without the number sign, as people write it.
    config.service(resource("/traces/{trace_id}", read().to(to_trace)));
}

async fn answer(request: HttpRequest, file: &'static File) -> HttpResponse {
    site::answer(&request, file, &site::policy(""))
}

async fn to_trace(path: web::Path<String>) -> HttpResponse {
    let trace_id: String = path.chars().filter(char::is_ascii_hexdigit).collect();
    HttpResponse::SeeOther().insert_header((header::LOCATION, format!("/#/traces/{trace_id}"))).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_no_other_host_and_has_no_script_or_style_of_its_own() {
        let ours = FILES.iter().filter(|file| !file.path.contains("/vendor/"));
        for File { path, text, .. } in ours.chain([&DOCUMENT]) {
            for address in ["https://", "//cdn", "url(http"] {
                assert!(!text.contains(address), "{path} has {address}");
            }
            for way in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"]
            {
                assert!(!text.contains(way), "{path} has {way}");
            }
        }
        for inline in ["<script>", "<style", "style=", "onclick"] {
            assert!(!DOCUMENT.text.contains(inline), "{inline}");
        }
    }

    #[test]
    fn every_module_that_is_imported_is_served() {
        for File { path, text, .. } in
            FILES.iter().filter(|file| file.kind == JAVASCRIPT && !file.path.contains("vendor"))
        {
            for import in text.lines().filter(|line| line.starts_with("import ")) {
                let module = import.rsplit(" from ").next().unwrap().trim_matches(['"', ';']);
                let module = module.trim_start_matches('.');
                assert!(file(module).is_some(), "{path} imports {module}");
            }
        }
    }
}
