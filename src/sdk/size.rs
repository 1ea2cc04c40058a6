//! Keeping requests under a size: what tools gave is cut where it must be.

use serde_json::Value;

use super::event::ErrorEvent;

/// What is kept free for everything but results, at most half of the whole.
const RESERVE: usize = 256 << 10;

/// What is not larger is not cut.
const SMALL: usize = 16 << 10;

/// How many characters of a large content are kept, three fifths of them from its start.
const KEPT: usize = 16 << 10;

/// How much room results have in a request of this size.
pub(super) fn budget(limit: usize) -> usize {
    limit - RESERVE.min(limit / 2)
}

/// Cuts the largest contents until all results fit, as far as they can be cut.
pub(super) fn fit(results: &mut [Value], budget: usize) {
    for _ in 0..results.len() {
        if length(results) <= budget {
            return;
        }
        let Some(largest) = results.iter_mut().max_by_key(|result| content(result).len()) else { return };
        if content(largest).len() <= SMALL {
            return;
        }
        cut(largest);
    }
}

/// The error of a request that is too large whatever is cut.
pub(super) fn too_large(context: &str, limit: usize) -> ErrorEvent {
    let message = format!(
        "{context}: the results are too large to send (over {}) and could not be reduced enough. Return less data: \
         filter, limit, or paginate the results, or write them to a file and return a reference.",
        bytes(limit)
    );
    ErrorEvent::of_status(413, message)
}

fn length(results: &[Value]) -> usize {
    results.iter().map(|result| result.to_string().len() + 1).sum::<usize>() + 1
}

/// What makes a result large: its text, or its JSON.
fn content(result: &Value) -> String {
    match result.get("result").or_else(|| result.get("error")) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn cut(result: &mut Value) {
    let content = content(result);
    let size = bytes(content.len());
    let Some(fields) = result.as_object_mut() else { return };
    let has_result = fields.contains_key("result");
    let advice = "reduce the output: add filters or a limit, request fewer fields, paginate, or write it to a file and \
                  return a reference instead of inline data.";
    // Half a variable is a wrong one.
    if has_result && let Some(variable) = fields.get("outputVariable").and_then(Value::as_str) {
        let error = format!(
            "Result omitted: it was {size}, too large to capture into variable \"{variable}\" and send back. To use \
             it, {advice}"
        );
        fields.shift_remove("result");
        fields.insert("error".to_owned(), error.into());
        return;
    }
    let preview = format!(
        "[This tool result was too large to send ({size}), so only the start and end are shown below. To use the full \
         data, {advice}]\n\n{}",
        preview(&content)
    );
    fields.insert(if has_result { "result" } else { "error" }.to_owned(), preview.into());
}

fn preview(content: &str) -> String {
    let count = content.chars().count();
    if count <= KEPT {
        return content.to_owned();
    }
    let head = (KEPT * 3).div_ceil(5);
    let place = |nth: usize| content.char_indices().nth(nth).map_or(content.len(), |(place, _)| place);
    let (head_end, tail_start) = (place(head), place(count - (KEPT - head)));
    format!("{}\n\n...[{} characters left out]...\n\n{}", &content[..head_end], count - KEPT, &content[tail_start..])
}

#[expect(clippy::cast_precision_loss, reason = "it is for reading")]
fn bytes(count: usize) -> String {
    match count {
        0..0x400 => format!("{count} B"),
        0x400..0x10_0000 => format!("{:.0} KB", count as f64 / 1024.0),
        _ => format!("{:.1} MB", count as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_largest_is_cut_first_and_what_is_small_never() {
        let large = "é".repeat(60_000);
        let small = "s".repeat(SMALL);
        let mut results = vec![
            json!({ "toolCallId": "1", "result": small }),
            json!({ "toolCallId": "2", "result": { "text": large } }),
            json!({ "toolCallId": "3", "error": "x".repeat(20_000) }),
        ];
        fit(&mut results, 90_000);
        assert_eq!(results[0]["result"], json!(small));
        let preview = results[1]["result"].as_str().unwrap();
        assert!(preview.contains("(117 KB)") && preview.contains("characters left out") && preview.ends_with("é\"}"));
        assert_eq!(results[2]["error"].as_str().unwrap().len(), 20_000, "all fits already");
    }

    #[test]
    fn what_a_variable_takes_is_not_cut_but_refused() {
        let mut results = vec![json!({ "toolCallId": "1", "result": "x".repeat(50_000), "outputVariable": "V" })];
        fit(&mut results, 1000);
        assert!(results[0].get("result").is_none());
        assert!(results[0]["error"].as_str().unwrap().contains("variable \"V\""));
    }

    #[test]
    fn at_most_half_is_kept_free() {
        assert_eq!(budget(4 << 20), (4 << 20) - RESERVE);
        assert_eq!(budget(100), 50);
    }
}
