// A canned reply goes to where the operator writes, who may still change it.
for (const choice of document.querySelectorAll("[data-fills]")) {
    choice.addEventListener("change", () => {
        const text = document.getElementById(choice.dataset.fills);
        text.value = choice.value;
        text.focus();
    });
}
