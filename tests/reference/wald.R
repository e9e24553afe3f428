# Reference numbers for joint Wald tests: Hotelling's T^2 approximated by F, and Satterthwaite's t.
#
#   Rscript tests/reference/wald.R
#
# reads the trials in covariance/ and writes wald/expected.csv and wald/versions.txt next to this script.
# Every number comes from lm() with clubSandwich; the statistic of every test is recomputed here by hand
# and the script stops where the two differ.

suppressPackageStartupMessages(library(clubSandwich))
options(stringsAsFactors = FALSE, warn = 2)

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
here <- if (length(script)) dirname(script) else "tests/reference"
out_dir <- file.path(here, "wald")
dir.create(out_dir, showWarnings = FALSE)

stages <- c("own_query", "conversation", "decision")

# One row per answer and stage; `cell` is stage x arm, or stage x arm x item.
stacked <- function(trial, observed) {
  ai <- trial$arm != "control"
  parts <- lapply(stages, function(stage) {
    rows <- if (stage == "decision") trial else trial[ai, ]
    data.frame(participant = rows$participant, arm = rows$arm, item = rows$item, stage = stage, y = rows[[stage]])
  })
  long <- do.call(rbind, parts)
  long <- long[!is.na(long$y), ]
  key <- paste(long$stage, long$arm, sep = "|")
  long$cell <- factor(if (observed) key else paste(key, long$item, sep = "|"))
  long
}

# Weights of the cells in the mean of one stage of one arm.
mean_row <- function(cells, stage, arm, mix) {
  fields <- strsplit(cells, "|", fixed = TRUE)
  vapply(fields, function(f) {
    if (f[1] != stage || f[2] != arm) 0 else if (is.null(mix)) 1 else mix[[f[3]]]
  }, 0)
}

hypotheses <- function(cells, arms, mix) {
  theta <- function(stage, arm) mean_row(cells, stage, arm, mix)
  step <- function(arm) rbind(theta("own_query", arm) - theta("conversation", arm),
                              theta("conversation", arm) - theta("decision", arm))
  found <- list()
  for (arm in arms) {
    parts <- step(arm)
    found[[paste(arm, "conversation = 0", sep = "|")]] <- parts[1, , drop = FALSE]
    found[[paste(arm, "decision = 0", sep = "|")]] <- parts[2, , drop = FALSE]
    found[[paste(arm, "components = 0", sep = "|")]] <- parts
    found[[paste(arm, "task = outcome", sep = "|")]] <- parts[1, , drop = FALSE] - parts[2, , drop = FALSE]
  }
  all_arms <- Reduce(`+`, lapply(arms, step)) / length(arms)
  found[["all|components = 0"]] <- all_arms
  if (length(arms) > 1) {
    differences <- lapply(arms[-1], function(arm) step(arm) - step(arms[1]))
    found[["across arms|conversation equal"]] <- do.call(rbind, lapply(differences, function(d) d[1, , drop = FALSE]))
    found[["across arms|components equal"]] <- do.call(rbind, differences)
    found[["across arms|realized_effect equal"]] <-
      do.call(rbind, lapply(arms[-1], function(arm) theta("decision", arm) - theta("decision", arms[1])))
  }
  found
}

tests_of <- function(case, trial, weights) {
  observed <- weights == "observed"
  long <- stacked(trial, observed)
  fit <- lm(y ~ 0 + cell, data = long)
  cells <- levels(long$cell)
  ai <- trial[trial$arm != "control", ]
  items <- sort(unique(ai$item))
  mix <- if (observed) NULL
         else if (weights == "uniform") setNames(rep(1 / length(items), length(items)), items)
         else setNames(as.numeric(table(factor(ai$item, items))) / nrow(ai), items)
  covariance <- vcovCR(fit, cluster = long$participant, type = "CR2")
  all <- hypotheses(cells, sort(unique(ai$arm)), mix)
  do.call(rbind, lapply(names(all), function(name) {
    rows <- all[[name]]
    test <- Wald_test(fit, constraints = rows, vcov = covariance, test = "HTZ")
    value <- rows %*% coef(fit)
    wald <- as.numeric(t(value) %*% solve(rows %*% as.matrix(covariance) %*% t(rows), value))
    eta <- test$df_denom + nrow(rows) - 1
    stopifnot(abs(test$Fstat / (test$df_denom / (eta * nrow(rows)) * wald) - 1) < 1e-9)
    label <- strsplit(name, "|", fixed = TRUE)[[1]]
    data.frame(case = case, item_weights = weights, arm = label[1], hypothesis = label[2], statistic = test$Fstat,
               df_num = test$df_num, df_denom = test$df_denom, p_value = test$p_val)
  }))
}

cases <- c("few", "many", "missing", "fractional", "once")
expected <- do.call(rbind, lapply(cases, function(case) {
  trial <- read.csv(file.path(here, "covariance", paste0(case, "_trial.csv")))
  do.call(rbind, lapply(c("observed", "trial", "uniform"), function(weights) tests_of(case, trial, weights)))
}))
stopifnot(all(is.finite(unlist(expected[c("statistic", "df_denom", "p_value")]))))

write_text <- function(lines, name) {
  connection <- file(file.path(out_dir, name), open = "wb")
  writeLines(lines, connection, sep = "\n")
  close(connection)
}
text <- as.data.frame(lapply(expected, function(x) if (is.numeric(x)) sprintf("%.17g", x) else x))
write_text(c(paste(names(expected), collapse = ","), do.call(paste, c(text, sep = ","))), "expected.csv")
info <- sessionInfo()
versions <- sort(vapply(c(info$otherPkgs, info$loadedOnly), function(x) paste(x$Package, x$Version), ""))
write_text(c(info$R.version$version.string, paste("platform", info$platform), unname(versions)), "versions.txt")
